"""Channel Access searches that don't wait.

libca searches for a channel less and less often, down to once a minute (it refuses a shorter
EPICS_CA_MAX_SEARCH_PERIOD), and an IOC behind a unicast address list has no beacon to hurry it. A new channel is
searched for at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from importlib import import_module
from typing import Any, cast


def search_anew(process_variables: Iterable[str]) -> None:
    """Forget unconnected channels that nothing is subscribed to, so that their next use searches anew.

    Call it in the event loop that uses the channels.
    """
    # aioca has no public way to close one channel.
    caches: dict[object, Any] = import_module("aioca._catools")._Context._channel_caches
    cache = caches.get(asyncio.get_running_loop())
    if cache is None:
        return  # no channel was made so far
    channels = cast("dict[str, Any]", cache._ChannelCache__channels)
    for name in process_variables:
        channel = channels.get(name)
        if channel is not None and not channel.connected() and not channel.count_subscriptions():
            del channels[name]
            channel._purge()
