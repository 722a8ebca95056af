"""``RE.md``: what all RunEngines of a site share, and what is true of one process only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

SCAN_ID = "scan_id"


class RunMetadata(MutableMapping[str, Any]):
    """Keys in ``own`` are this process's; all others are kept where every RunEngine of the site finds them.

    `shared` may count a number by itself (``count_up``): then two RunEngines that start a run at once get two scan ids.
    """

    def __init__(self, shared: MutableMapping[str, Any], own: Mapping[str, Any]) -> None:
        self._shared = shared
        self._own = dict(own)
        self._given: int | None = None

    def next_scan_id(self, _metadata: object = None) -> int:
        """A RunEngine's ``scan_id_source``."""
        count_up = getattr(self._shared, "count_up", None)
        self._given = int(self.get(SCAN_ID, 0)) + 1 if count_up is None else int(count_up(SCAN_ID))
        return self._given

    def __getitem__(self, key: str) -> Any:
        return self._own[key] if key in self._own else self._shared[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if key == SCAN_ID and value == self._given and hasattr(self._shared, "count_up"):
            # The RunEngine writes down what it was given; another may have been given the next one meanwhile.
            self._own[key] = value
        elif key in self._own and key != SCAN_ID:
            self._own[key] = value
        else:
            self._own.pop(key, None)
            self._shared[key] = value

    def __delitem__(self, key: str) -> None:
        if self._own.pop(key, None) is None:
            del self._shared[key]

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from (key for key in self._shared if key not in self._own)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __len__(self) -> int:
        return sum(1 for _ in self)
