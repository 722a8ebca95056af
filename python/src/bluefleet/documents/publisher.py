"""The publisher: what a RunEngine's documents go through on their way into the spool."""

from collections.abc import Mapping
from typing import Any

from bluefleet.documents.codec import DEFAULT_LIMIT, encode
from bluefleet.documents.errors import DocumentRefused, SpoolFull
from bluefleet.documents.runs import RunTracker
from bluefleet.documents.spool import Spool


class Publisher:
    """A RunEngine callback: `RE.subscribe(Publisher(spool))`.

    Start and stop documents are on the disk when it returns, the others within a second. It raises, and the run ends
    saying why, when a document can't travel (DocumentRefused), the spool is full (SpoolFull) or its disk fails
    (SpoolFailed). A run whose start was refused leaves nothing behind.
    """

    def __init__(self, spool: Spool, *, limit: int = DEFAULT_LIMIT) -> None:
        self.spool = spool
        self._limit = limit
        self._runs = RunTracker()
        self._refused: set[str] = set()

    def __call__(self, name: str, document: Mapping[str, Any]) -> None:
        if name == "start":
            self._start(document)
            return
        run = self._runs.run_of(name, dict(document)) or ""
        if run in self._refused:
            # Its start never went out; the RunEngine still closes it.
            if name == "stop":
                self._refused.discard(run)
            return
        self.spool.append(run, name, encode(name, document, limit=self._limit))
        if name == "stop":
            self.spool.flush()

    def _start(self, document: Mapping[str, Any]) -> None:
        run: str = document["uid"]
        self._runs.run_of("start", dict(document))
        scan_id = document.get("scan_id")
        try:
            body = encode("start", document, limit=self._limit)
            self.spool.append(run, "start", body, scan_id=scan_id if isinstance(scan_id, int) else None)
        except (DocumentRefused, SpoolFull):
            self._refused.add(run)
            raise
        self.spool.flush()
