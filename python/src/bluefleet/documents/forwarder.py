"""The forwarder: moves what lies in the spools to Kafka, and outlives the writers.

`python -m bluefleet.documents.forwarder`

It finds every `<writer>.sqlite` in the spool folder and in those just below it, runs a lane for each, and looks after
those whose writer died: their open runs are closed with a stop document. It says how it is on its status port:

    /status         backlog of each writer, whether Kafka takes documents, and what desktops tell of theirs
    /runs/RUN       what the spools hold of a run (uid, its beginning, scan id, or -1 for the last)
    /kafka/RUN      what Kafka holds of that run
    /named/NAME     which runs a name may mean, as far as the spools know
    /started/N      runs that began at offset N of the topic or later
    /dead/N         dead letters that wait, or one of them; POST /dead/replay and /dead/dismiss see to some
    /replay/RUN     what would be sent again of a run; POST does it
"""

import contextlib
import logging
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from bluefleet.documents import spool_store
from bluefleet.documents.dead_letters import DeadLetterBox
from bluefleet.documents.dead_writer import close_open_runs
from bluefleet.documents.desktops import Desktops, Herald
from bluefleet.documents.errors import DocumentError, RequestWrong, RunNotFound, SpoolBusy, Stopping
from bluefleet.documents.kafka import ensure_topics
from bluefleet.documents.lane import Lane
from bluefleet.documents.named_runs import NamedRuns
from bluefleet.documents.patience import Patience
from bluefleet.documents.replay import Replay
from bluefleet.documents.run_reference import UID_LENGTH
from bluefleet.documents.settings import ForwarderSettings
from bluefleet.documents.spool_lock import WriterLock
from bluefleet.documents.spool_runs import find_run, named_in_spools, spool_digest
from bluefleet.documents.spool_usage import measure
from bluefleet.documents.status_server import StatusServer
from bluefleet.documents.topic_digest import topic_digest
from bluefleet.documents.topic_run import starts_in_topic
from bluefleet.documents.until_told import log_at, run_until_told

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
#: A spool that is new is seen at the next look; when documents wait longer than this in it (s), something is wrong.
LANE_WITHIN = 10.0
#: How long a look waits for somebody who has locked a spool, in seconds: others wait with it.
LOCKED_FOR = 2.0
PRUNE_EVERY = 60.0
PRUNE_AT_ONCE = 500
#: Above this share of the limit delivered documents go before their time: acquisition comes first.
PRESSED = 0.8


class Forwarder:
    """All lanes, and the watch over their writers."""

    def __init__(self, settings: ForwarderSettings) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._lanes: dict[str, Lane] = {}
        #: What went wrong with a spool at the last look.
        self._faults: dict[str, str] = {}
        self._pruned_at: dict[str, float] = {}
        self._looked_at = time.monotonic()
        self._patience = Patience(self._stopping)
        self._topics_made = threading.Event()
        self._letters = DeadLetterBox(settings, self._stopping)
        self._desktops = Desktops(settings, self._stopping)
        self._herald = Herald(settings, settings.desktop, self.status) if settings.desktop else None
        replay = Replay(settings, self._letters, settings.spools)
        self.status_server = StatusServer(
            settings.status_port,
            {
                "status": self.status,
                "runs": self.run_in_spool,
                "kafka": self.run_in_kafka,
                "named": self.runs_named,
                "started": self.runs_started,
                "dead": replay.letters,
                "replay": replay.planned,
            },
            self.healthy,
            key=settings.status_key,
            actions={"dead": replay.settle, "replay": replay.run},
        )

    def run(self) -> None:
        """Work until `stop`."""
        self.status_server.start()
        logger.info("forwarding %s to %s", self._settings.spool_dir, self._settings.kafka_bootstrap)
        topics = threading.Thread(target=self._make_topics, name="topics", daemon=True)
        topics.start()
        self._letters.start()
        if self._herald is None:
            self._desktops.start()
        else:
            self._herald.start()
        while not self._stopping.is_set():
            for path in self._settings.spools():
                self._try_to_look_after(path)
            self._looked_at = time.monotonic()
            self._stopping.wait(LOOK_EVERY)
        for thread in (topics, self._letters, *self._lanes.values()):
            thread.join(timeout=5)
        if self._herald is not None:
            self._herald.end()
        self.status_server.stop()

    def stop(self) -> None:
        """Let go; what is not acknowledged stays in the spools."""
        self._stopping.set()

    def healthy(self) -> bool:
        """The forwarder itself works; Kafka being away is not its illness."""
        return time.monotonic() - self._looked_at < 60 and all(lane.is_alive() for lane in self._lanes.values())

    def status(self, _rest: str = "") -> dict[str, Any]:
        """Backlog and trouble of each writer."""
        writers = {self._name(path): self._writer_status(path) for path in self._settings.spools()}
        unmade = f"topic {self._settings.topic} is not made yet"
        problems = [f"{name}: {writer['trouble']}" for name, writer in writers.items() if writer["trouble"]]
        problems += [
            f"{name}: Kafka refused {writer['refused']} documents"
            for name, writer in writers.items()
            if writer["refused"]
        ]
        problems += [] if self._topics_made.is_set() else [self._patience.trouble or unmade]
        return {
            "service": "forwarder",
            "topic": self._settings.topic,
            "ok": not problems,
            "problems": problems,
            "writers": writers,
            "delivered_end": max((writer["delivered_end"] for writer in writers.values()), default=0),
            "dead_letters": self._letters.count(),
            "desktops": self._desktops.status(),
        }

    def run_in_spool(self, reference: str) -> dict[str, Any]:
        """What the spools hold of a run."""
        path, run = find_run(self._settings.spools(), reference)
        return spool_digest(path, run).model_dump() | {"writer": self._name(path)}

    def run_in_kafka(self, reference: str) -> dict[str, Any]:
        """What Kafka holds of a run. A full uid is looked for in the whole topic when no spool knows it any more.

        What has left the spool took along where in Kafka it lies; when the run began is known as long as anything of it is here.
        """
        try:
            path, run = find_run(self._settings.spools(), reference)
        except RunNotFound:
            if len(reference) < UID_LENGTH:
                raise
            return topic_digest(self._settings, reference, first=None, last=None).model_dump()
        with contextlib.closing(spool_store.connect(path)) as connection:
            first, last = spool_store.offsets_of(connection, run)
            if spool_store.has_start(connection, run):
                return topic_digest(self._settings, run, first=first, last=last).model_dump()
            began = next((known.time for known in spool_store.runs(connection, "run = ?", (run,))), None)
        return topic_digest(self._settings, run, first=None, last=last, since=began).model_dump()

    def runs_named(self, name: str) -> dict[str, Any]:
        """Runs that the name may mean: all of them for a place from the end."""
        return NamedRuns(runs=named_in_spools(self._settings.spools(), name)).model_dump()

    def runs_started(self, offset: str) -> dict[str, Any]:
        """Runs that began in the topic there or later. Raises RequestWrong, Unavailable."""
        if not offset.isdigit():
            raise RequestWrong(f"{offset!r} is no offset")
        return NamedRuns(runs=list(starts_in_topic(self._settings, first=int(offset)))).model_dump()

    def _make_topics(self) -> None:
        """Before anybody has written anything: who listens on a new site hears of the first run as it happens."""
        if not self._settings.makes_topics:
            self._topics_made.set()
            return
        retention = self._settings.kafka_retention_bytes
        with contextlib.suppress(Stopping):
            self._patience.until_available(lambda: ensure_topics(self._settings, retention_bytes=retention))
            self._topics_made.set()

    def _name(self, path: Path) -> str:
        return self._settings.writer_of(path)

    def _try_to_look_after(self, path: Path) -> None:
        """Whatever is wrong with it holds no other spool up."""
        name = self._name(path)
        try:
            self._look_after(path)
        except Exception as error:
            self._faults[name] = _said(error)
            if isinstance(error, DocumentError | sqlite3.Error | OSError):
                logger.error("%s: %s", name, error)
            else:
                logger.exception("%s", name)
        else:
            self._faults.pop(name, None)

    def _look_after(self, path: Path) -> None:
        connection = spool_store.connect(path, patience=LOCKED_FOR)
        try:
            self._close_for_dead_writer(path, connection)
            self._prune(path, connection)
        finally:
            connection.close()
        self._keep_lane(path)

    def _keep_lane(self, path: Path) -> None:
        """Each spool has a lane that is alive."""
        name = self._name(path)
        old = self._lanes.get(name)
        if old is not None and (old.is_alive() or self._stopping.is_set()):
            return
        trouble = ""
        if old is not None:
            trouble = "its lane ended where it should not (the log says how); it was begun again"
            logger.error("%s: %s", name, trouble)
        lane = self._lanes[name] = Lane(path, self._settings, self._stopping, trouble=trouble)
        lane.start()

    def _close_for_dead_writer(self, path: Path, connection: sqlite3.Connection) -> None:
        if not spool_store.runs(connection, "stop_seq IS NULL"):
            return
        try:
            lock = WriterLock.acquire(path.with_suffix(".lock"), timeout=0, claim=False)
        except SpoolBusy:
            return
        try:
            close_open_runs(connection, f"{lock.predecessor} ended without closing this run; closed by the forwarder")
        finally:
            lock.release()

    def _prune(self, path: Path, connection: sqlite3.Connection) -> None:
        now = time.time()
        pressed = measure(connection, path, self._settings.spool_limit_bytes).fraction > PRESSED
        if not pressed and now - self._pruned_at.get(self._name(path), 0.0) < PRUNE_EVERY:
            return
        before = now if pressed else now - self._settings.keep_days * 86400
        if spool_store.prune(connection, delivered_before=before, documents=PRUNE_AT_ONCE) < PRUNE_AT_ONCE:
            self._pruned_at[self._name(path)] = now

    def _writer_status(self, path: Path) -> dict[str, Any]:
        lane = self._lanes.get(self._name(path))
        try:
            with contextlib.closing(spool_store.connect(path, patience=LOCKED_FOR)) as connection:
                waiting = spool_store.backlog(connection)
                usage = measure(connection, path, self._settings.spool_limit_bytes)
                end = spool_store.delivered_end(connection)
                open_runs = [run.run for run in spool_store.runs(connection, "stop_seq IS NULL")]
            alive = WriterLock.is_held(path.with_suffix(".lock"))
            oldest_age = round(waiting.oldest_age, 3)
        except Exception as error:  # noqa: BLE001 - anything may be in it, and others are asked about in the same breath
            return {"backlog": None, "refused": 0, "delivered_end": 0, "trouble": _said(error)}
        return {
            "alive": alive,
            "backlog": waiting.documents,
            "oldest_age": oldest_age,
            "delivered_at": lane.delivered_at if lane else 0.0,
            "delivered_end": end,
            "refused": waiting.refused,
            "open_runs": open_runs,
            "bytes": usage.bytes,
            "limit_bytes": usage.limit,
            "trouble": self._faults.get(self._name(path)) or _trouble(lane, oldest_age),
        }


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, DocumentError | sqlite3.Error | OSError) else repr(error)


def _trouble(lane: Lane | None, oldest_age: float) -> str:
    if lane is None:
        return "no lane yet" if oldest_age > LANE_WITHIN else ""
    return lane.trouble if lane.is_alive() else "its lane ended where it should not (the log says how)"


def main() -> None:
    """The service."""
    settings = ForwarderSettings.from_environment()
    log_at(settings.log_level)
    run_until_told(Forwarder(settings))


if __name__ == "__main__":
    main()
