"""Waits until Redis answers: the RE manager of queueserver that starts without it stays, and never asks again."""

# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# (Redis' client is in the image only)
from __future__ import annotations

import time
from collections.abc import Callable

from redis import RedisError

from bluefleet.acquisition.redis_client import redis_client

DEADLINE = 120.0
PAUSE = 0.5
ANSWER_SECONDS = 5.0


class RedisAway(Exception):
    """Redis gave no answer, or refused the password; says which, and where it was sought."""


def wait_for_redis(
    address: str, password: str | None, *, deadline: float = DEADLINE, tell: Callable[[str], None] = print
) -> None:
    """Return when the Redis at ``host:port`` answers. Raises RedisAway after `deadline` seconds."""
    # Asking again is done here.
    client = redis_client(address, password, deadline=ANSWER_SECONDS, patient=False)
    end = time.monotonic() + deadline
    told = False
    with client:
        while True:
            try:
                client.ping()
                return
            except (RedisError, OSError) as error:
                if time.monotonic() > end:
                    raise RedisAway(f"Redis at {address} gave no answer in {deadline:g} s: {error}") from error
                if not told:
                    tell(f"waiting for Redis at {address}: {error}")
                    told = True
            time.sleep(PAUSE)
