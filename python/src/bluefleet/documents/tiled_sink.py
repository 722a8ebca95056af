"""The Tiled sink: documents into Tiled's catalogue, visible while the run goes on.

`python -m bluefleet.documents.tiled_sink`

The offset it commits is never beyond the start of the oldest open run: after a restart it reads those runs again,
which rebuilds what it must know of them, and skips, per stream, the events that Tiled already has.
"""

import logging
from collections.abc import Sequence
from typing import Any

from bluefleet.documents.awaited_runs import AwaitedRuns
from bluefleet.documents.codec import Document
from bluefleet.documents.consumer import Received, Rejected, serve
from bluefleet.documents.errors import Poison
from bluefleet.documents.named_runs import NamedRun
from bluefleet.documents.patience import Patience
from bluefleet.documents.run_digest import RunDigest
from bluefleet.documents.run_reference import RunReference
from bluefleet.documents.settings import TiledSettings
from bluefleet.documents.tiled_access import child, children, connect, probe, translated
from bluefleet.documents.tiled_digest import tiled_digest
from bluefleet.documents.tiled_named import tiled_named
from bluefleet.documents.tiled_run import OpenRun

logger = logging.getLogger(__name__)

PAGES = {"event_page", "datum_page"}
KINDS = {"start", "descriptor", "event", "resource", "datum", "stream_resource", "stream_datum", "stop"} | PAGES


class TiledSink:
    """Stores documents in one catalogue."""

    name = "tiled-sink"

    def __init__(self, settings: TiledSettings) -> None:
        self._settings = settings
        self._client: Any = None
        self._runs: dict[str, OpenRun] = {}
        self._awaited = AwaitedRuns()

    def prepare(self) -> None:
        """Connect."""
        self._client = connect(self._settings)

    def needed_from(self, next_offset: int) -> int:
        """The start of the oldest open run."""
        return min((run.first_offset for run in self._runs.values()), default=next_offset)

    def let_go(self, heard_until: float) -> bool:
        """A run that goes on after all is recalled from Tiled."""
        silent = self._awaited.silent(heard_until)
        for run in silent:
            self._forget(run)
        return bool(silent)

    def problems(self) -> list[str]:
        """Runs that were sent again, and not to their end."""
        return self._awaited.problems()

    def write(self, batch: Sequence[Received], patience: Patience) -> list[Rejected]:
        """Store the batch: containers at once, events and frames in bulk at its end."""
        rejected: list[Rejected] = []
        touched: dict[str, OpenRun] = {}
        for received in batch:
            try:
                run = touched[received.run] = self._run_of(received, patience)
                run.take(received)
                if run.closed:
                    self._awaited.had_ended(received.run)
            except Poison as error:
                rejected.append(Rejected(received.offset, str(error)))
                if received.name == "start":
                    self._forget(received.run)
            if received.name == "stop":
                self._awaited.ended(received.run)
                self._forget(received.run)
        for uid, run in touched.items():
            rejected += run.flush()
            if run.ended:
                self._forget(uid)
        return rejected

    def named(self, reference: RunReference) -> list[NamedRun]:
        """The last runs, the latest of a scan id, or those whose uid begins so."""
        return tiled_named(connect(self._settings), reference)

    def holds(self, reference: str) -> RunDigest:
        """Everything the catalogue has of a run."""
        # A client of its own: this is another thread.
        return tiled_digest(connect(self._settings), reference)

    def _run_of(self, received: Received, patience: Patience) -> OpenRun:
        if received.name not in KINDS:
            raise Poison(f"there is no {received.name!r} document")
        run = self._runs.get(received.run)
        if run is None:
            run = OpenRun(self._client, patience, received.offset, self._settings.frames_folders)
            if received.name != "start":
                self._recall(run, received.run, patience)
            self._runs[received.run] = run
        self._awaited.heard(received)
        return run

    def _recall(self, run: OpenRun, uid: str, patience: Patience) -> None:
        """A document of a run whose start lies behind us: what must be known of it is in Tiled."""

        def read() -> list[tuple[str, Document]]:
            with translated(self._settings.tiled_uri):
                return list(_known_documents(self._client, uid))

        run.recall(patience.until_available(read, lambda: probe(self._client)))

    def _forget(self, run: str) -> None:
        self._runs.pop(run, None)
        self._awaited.forget(run)


def _known_documents(client: Any, uid: str) -> list[tuple[str, Document]]:
    node = child(client, uid) if uid else None
    if node is None:
        raise Poison(f"Tiled has no run {uid!r}, and its start document did not come")
    found: list[tuple[str, Document]] = [("start", dict(node.metadata["start"]))]
    streams = children(node)
    for name, stream in streams.items():
        about: Document = dict(stream.metadata)
        changes = about.pop("_config_updates", [])
        uids = [about["uid"], *(change["uid"] for change in changes)]
        found += [("descriptor", about | {"uid": each, "name": name, "run_start": uid}) for each in uids]
    return found


def main() -> None:
    """The service."""
    settings = TiledSettings.from_environment()
    serve(TiledSink(settings), settings, settings.kafka_group)


if __name__ == "__main__":
    main()
