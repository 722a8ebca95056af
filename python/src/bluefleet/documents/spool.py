"""The spool: the durable local log that a RunEngine writes its documents to.

`append` puts a document into memory and returns; a thread of its own commits what has come together every few
milliseconds (safe from the process's death) and syncs the disk each second and whenever somebody asks (safe from the
machine's). So the RunEngine never waits for a disk, but for the start and the stop of a run, and for one that hangs.
"""

import atexit
import logging
import os
import sqlite3
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from bluefleet.documents import spool_store
from bluefleet.documents.dead_writer import close_open_runs
from bluefleet.documents.errors import SpoolFailed, SpoolFull
from bluefleet.documents.spool_lock import WriterLock
from bluefleet.documents.spool_store import Entry
from bluefleet.documents.spool_usage import Usage, measure

logger = logging.getLogger(__name__)

DEFAULT_LIMIT_BYTES = 20 * 1024**3
#: How long documents come together for one transaction, and how often the disk is synced, in seconds.
GATHER = 0.01
SYNC_EVERY = 1.0
#: How long until documents that the disk did not take are tried again, and how long a spool that closes does so.
AGAIN_AFTER = 0.5
CLOSE_WITHIN = 10.0
#: How much may wait in memory for the disk, for how long there may be no room for more, and how long the disk may take
#: to store the last of it.
UNSTORED_BYTES = 64 * 1024**2
STORED_WITHIN = 30.0
ENDS_WITHIN = 60.0
#: What a disk says that may take the same thing later.
FOR_NOW = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM}
#: The same, where only the whole code tells it from a broken disk.
FOR_NOW_EXACTLY = {sqlite3.SQLITE_IOERR_SHMSIZE}


class Spool:
    """The writing end of `<directory>/<writer>.sqlite`. One live process a writer.

    A predecessor's open runs are closed when it opens. Raises SpoolBusy when another live process has it.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        writer: str,
        limit_bytes: int = DEFAULT_LIMIT_BYTES,
        lock_timeout: float = 10.0,
    ) -> None:
        self.directory = Path(directory)
        self.writer = writer
        self.path = self.directory / f"{writer}.sqlite"
        self._limit = limit_bytes
        self._lock = WriterLock.acquire(self.directory / f"{writer}.lock", timeout=lock_timeout)
        try:
            self._connection = spool_store.connect(self.path, create=True)
            close_open_runs(self._connection, f"{self._lock.predecessor} ended without closing this run")
        except BaseException:
            self._lock.release()
            raise
        # The forwarder runs under the same uid but another umask.
        self.path.chmod(0o660)
        self._owner = os.getpid()
        self._pending: list[Entry] = []
        #: Bytes of what is pending and of what the thread has in hand.
        self._unstored = 0
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._urgent = threading.Event()
        self._synced = threading.Condition(self._guard)
        self._appended = 0
        self._durable = 0
        self._failure: Exception | None = None
        self._closing = False
        self._closed = False
        self._close_by = 0.0
        self._waits_for = ""
        self._usage = self._measure()
        self._measured = time.monotonic()
        self._thread = threading.Thread(target=self._work, name=f"spool-{writer}", daemon=True)
        self._thread.start()
        # A process that ends without closing its spool has documents of the last milliseconds in memory.
        atexit.register(self.close)

    def append(self, run: str, name: str, body: bytes, *, scan_id: int | None = None) -> None:
        """Take a document. Raises SpoolFull at the limit (a stop always fits) and SpoolFailed on a bad disk."""
        self._check()
        if name != "stop" and self._usage.fraction >= 1.0:
            raise SpoolFull(
                f"{self.path} holds {self._usage.bytes} bytes of {self._usage.limit}: documents are not delivered "
                f"(bluefleet status says why), or the disk is full{self._waits_for}"
            )
        with self._synced:
            roomy = name == "stop" or self._synced.wait_for(
                lambda: self._unstored < UNSTORED_BYTES or self._failure is not None, STORED_WITHIN
            )
            self._check()
            if not roomy:
                raise self._too_slow(STORED_WITHIN)
            if self._closing:
                raise SpoolFailed(f"{self.path} is closed")
            self._pending.append(Entry(run, name, time.time(), body, scan_id))
            self._unstored += len(body)
            self._appended += 1
        if not self._wake.is_set():
            self._wake.set()

    def flush(self, timeout: float = STORED_WITHIN) -> None:
        """Return when everything appended so far is on the disk. Raises SpoolFailed when it can't get there."""
        with self._synced:
            target = self._appended
            self._urgent.set()
            self._wake.set()
            reached = self._synced.wait_for(lambda: self._durable >= target or self._failure is not None, timeout)
        self._check()
        if not reached:
            raise self._too_slow(timeout)

    def usage(self) -> Usage:
        """How full the spool is, at most a second old."""
        return self._usage

    def close(self) -> None:
        """Store everything and let the next writer in. Runs still open are closed by whoever takes the lock next.

        Raises SpoolFailed when the disk does not take it; while the disk still has it in hand, nobody else may write.
        """
        if self._closed or self._owner != os.getpid():
            return
        with self._guard:
            self._closing = True
            self._close_by = time.monotonic() + CLOSE_WITHIN
        atexit.unregister(self.close)
        self._urgent.set()
        self._wake.set()
        self._thread.join(timeout=ENDS_WITHIN)
        if self._thread.is_alive():
            raise SpoolFailed(f"{self.path}: the disk is still at it after {ENDS_WITHIN:g} s{self._waits_for}")
        self._closed = True
        self._connection.close()
        self._lock.release()
        self._check()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self) -> None:
        if self._failure is not None:
            raise SpoolFailed(f"{self.path}: {self._failure}") from self._failure
        if self._owner != os.getpid():
            raise SpoolFailed(
                f"{self.path} was opened by process {self._owner}; a forked child needs a spool of its own"
            )

    def _work(self) -> None:
        try:
            self._commit_until_closed()
        except Exception as error:  # noqa: BLE001 - whatever ends this thread, nothing more may be taken in its place
            self._fail(error)

    def _commit_until_closed(self) -> None:
        synced_at = time.monotonic()
        unsynced = False
        while True:
            # Also while nothing comes: what a plan that waits for room looks at is how full the spool is now.
            self._wake.wait(max(0.0, synced_at + SYNC_EVERY - time.monotonic()) if unsynced else SYNC_EVERY)
            self._urgent.wait(GATHER)
            with self._guard:
                self._wake.clear()
                urgent = self._urgent.is_set()
                self._urgent.clear()
                batch, self._pending = self._pending, []
                reached = self._appended
            unsynced = unsynced or bool(batch)
            sync = urgent or (unsynced and time.monotonic() - synced_at >= SYNC_EVERY)
            try:
                if batch or sync:
                    spool_store.append(self._connection, batch, sync=sync)
                    self._note_stored(batch)
                    batch = []
                if time.monotonic() - self._measured >= SYNC_EVERY or sync:
                    self._usage = self._measure()
                    self._measured = time.monotonic()
            except (sqlite3.Error, OSError) as error:
                if not self._may_work_later(error):
                    self._fail(error)
                    return
                self._put_back(batch, error, urgent=sync)
                time.sleep(AGAIN_AFTER)
                continue
            if self._waits_for:
                self._waits_for = ""
                self._usage = self._measure()
            if sync:
                unsynced = False
                synced_at = time.monotonic()
                with self._synced:
                    self._durable = reached
                    self._synced.notify_all()
            if self._closing and not self._pending:
                return

    def _note_stored(self, batch: list[Entry]) -> None:
        with self._synced:
            self._unstored -= sum(len(entry.body) for entry in batch)
            self._synced.notify_all()

    def _too_slow(self, seconds: float) -> SpoolFailed:
        return SpoolFailed(f"{self.path}: the disk took more than {seconds:g} s to store a document{self._waits_for}")

    def _fail(self, error: Exception) -> None:
        with self._synced:
            self._failure = error
            self._synced.notify_all()

    def _may_work_later(self, error: sqlite3.Error | OSError) -> bool:
        if self._closing and time.monotonic() > self._close_by:
            return False
        code: int = getattr(error, "sqlite_errorcode", 0)
        return code & 0xFF in FOR_NOW or code in FOR_NOW_EXACTLY

    def _put_back(self, batch: list[Entry], error: sqlite3.Error | OSError, *, urgent: bool) -> None:
        """Nothing of it was stored: it is still to be, before what came since. Until then the spool counts as full."""
        logger.warning("%s: %s; trying again", self.path, error)
        self._waits_for = f" ({error})"
        self._usage = Usage(self._usage.bytes, self._usage.bytes)
        with self._guard:
            self._pending[:0] = batch
            self._wake.set()
            if urgent:
                self._urgent.set()

    def _measure(self) -> Usage:
        return measure(self._connection, self.path, self._limit)
