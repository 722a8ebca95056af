"""Channel Access of this process: which IOCs are searched for, and how often.

libca reads these variables once, when it is loaded: set them before anything imports EPICS.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from bluefleet.model import Site

# libca doubles the time between searches up to this and refuses less; bluefleet.devices.search doesn't wait for it.
MAX_SEARCH_PERIOD = 60
_ADDRESSES = "EPICS_CA_ADDR_LIST"


class EnvironmentMustReopen(Exception):
    """An IOC was declared that this process can't search for: the environment must be closed and opened."""


def prepare(site: Site, environment: MutableMapping[str, str] = os.environ) -> None:
    """Search for the site's IOCs one by one and nowhere else: several share a host, and broadcasts find only one."""
    environment[_ADDRESSES] = " ".join(site.channel_access_addresses())
    environment["EPICS_CA_AUTO_ADDR_LIST"] = "NO"
    environment["EPICS_CA_MAX_SEARCH_PERIOD"] = str(MAX_SEARCH_PERIOD)


def refuse_new_addresses(site: Site, environment: MutableMapping[str, str] = os.environ) -> None:
    """Raise EnvironmentMustReopen when the site has IOCs that were not declared when this process started."""
    new = set(site.channel_access_addresses()) - set(environment.get(_ADDRESSES, "").split())
    if new:
        raise EnvironmentMustReopen(
            f"IOC {', '.join(sorted(new))} was declared after this environment was opened; "
            "close and open the environment to reach it"
        )
