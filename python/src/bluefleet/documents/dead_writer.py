"""Closes the runs of a writer that died: each gets the stop document that the dead RunEngine can't emit any more."""

import logging
import sqlite3
import time
import uuid
from collections import Counter

from bluefleet.documents import codec, spool_store
from bluefleet.documents.codec import Document
from bluefleet.documents.errors import DocumentError
from bluefleet.documents.spool_store import Entry

logger = logging.getLogger(__name__)


def close_open_runs(connection: sqlite3.Connection, reason: str) -> list[str]:
    """Append a stop document with exit status "fail" to every open run of a spool; the runs' uids.

    Only for who holds the writer's lock.
    """
    found = spool_store.runs(connection, "stop_seq IS NULL")
    stops = [_stop(connection, run.run, reason) for run in found]
    if stops:
        entries = [Entry(stop["run_start"], "stop", stop["time"], codec.encode("stop", stop)) for stop in stops]
        spool_store.append(connection, entries, sync=True)
    for run in found:
        logger.warning("run %s closed: %s", run.run, reason)
    return [run.run for run in found]


def _stop(connection: sqlite3.Connection, run: str, reason: str) -> Document:
    stop: Document = {
        "uid": str(uuid.uuid4()),
        "run_start": run,
        "time": time.time(),
        "exit_status": "fail",
        "reason": reason,
    }
    try:
        events = _count_events(connection, run)
    except (DocumentError, LookupError, TypeError, AttributeError) as error:
        # What is no document of a run counts for nothing: the run ends all the same.
        logger.warning("events of run %s were not counted: %r", run, error)
        events = None
    return stop if events is None else stop | {"num_events": events}


def _count_events(connection: sqlite3.Connection, run: str) -> dict[str, int] | None:
    """Events by stream; None of a run so long that its beginning was delivered and has left the spool.

    Raises what its documents are at fault for.
    """
    whole = False
    streams: dict[str, str] = {}
    events: Counter[str] = Counter()
    for _, body in spool_store.documents_of(connection, run, ("start", "descriptor", "event", "event_page")):
        name, document = codec.decode(body)
        if name == "start":
            # What leaves the spool leaves it oldest first.
            whole = True
        elif name == "descriptor":
            streams[document["uid"]] = document["name"]
        else:
            count = 1 if name == "event" else len(document["seq_num"])
            events[streams.get(document["descriptor"], "")] += count
    return dict(events) if whole else None
