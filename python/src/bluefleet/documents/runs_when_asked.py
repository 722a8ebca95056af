"""`db` of a terminal: the stored runs, looked for when they are asked for the first time and not before.

So a terminal starts without Tiled, and as quickly as without its client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bluefleet.documents.errors import DocumentError


def _open_runs() -> Any:
    from bluefleet.documents.reading import open_runs

    return open_runs()


class RunsWhenAsked:
    """`db[-1]`, `len(db)`, `db.mongo`, `db.client` … of `open_runs`. What failed is tried again the next time."""

    def __init__(self, connect: Callable[[], Any] = _open_runs) -> None:
        self._connect = connect
        self._runs: Any = None

    def __getitem__(self, reference: int | str) -> Any:
        return self._open()[reference]

    def __len__(self) -> int:
        return len(self._open())

    def __repr__(self) -> str:
        try:
            return repr(self._open())
        except DocumentError as error:
            return f"<no runs: {error}>"

    def __getattr__(self, name: str) -> Any:
        # What a prompt looks for in whatever it shows (_repr_html_ …) is no question about runs.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._open(), name)

    def __dir__(self) -> list[str]:
        return ["client", "mongo"]

    def _open(self) -> Any:
        if self._runs is None:
            self._runs = self._connect()
        return self._runs
