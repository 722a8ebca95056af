"""Addresses on this machine for the hosts of a site, and the site's own taken out of what is used of its inventory."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

# The first address is this machine's; below it all stays free for a person's own.
_FIRST = 10


class Subnet:
    """The network of a rehearsal: IPv4 with room for every host. Raises ValueError with the reason."""

    def __init__(self, text: str) -> None:
        try:
            self._network = ipaddress.IPv4Network(text)
        except ValueError as error:
            raise ValueError(f"{text!r} is no IPv4 network such as 172.30.78.0/24: {error}") from error

    def __str__(self) -> str:
        return str(self._network)

    def given(self, hosts: Iterable[str], before: Mapping[str, str]) -> dict[str, str]:
        """An address for each host: the one that it had `before`, so that a new host makes no other one new."""
        free = self._network.num_addresses - 1 - _FIRST
        names = list(hosts)
        if len(names) > free:
            raise ValueError(f"{self} has {max(free, 0)} addresses for {len(names)} hosts: take a larger network")
        kept = {name: before[name] for name in names if name in before and self._has(before[name])}
        taken = set(kept.values())
        unused = (str(self._network[n]) for n in range(_FIRST, self._network.num_addresses - 1))
        rest = (address for address in unused if address not in taken)
        return {name: kept.get(name) or next(rest) for name in names}

    def _has(self, address: str) -> bool:
        return ipaddress.ip_address(address) in self._network


class Readdressed:
    """Puts the rehearsal's addresses where the site's stand, in any text of a value."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = dict(addresses)
        known = sorted(map(re.escape, addresses), key=len, reverse=True)
        self._pattern = re.compile(rf"(?<![\w.-])({'|'.join(known)})(?![\w-]|\.\w)") if known else None

    def __call__(self, value: Any) -> Any:
        """The value with other addresses."""
        if isinstance(value, str):
            return self._pattern.sub(lambda found: self._addresses[found[1]], value) if self._pattern else value
        if isinstance(value, dict):
            return {self(key): self(each) for key, each in cast("dict[Any, Any]", value).items()}
        return [self(each) for each in cast("list[Any]", value)] if isinstance(value, list) else value
