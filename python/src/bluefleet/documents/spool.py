"""The spool: the durable local log that a RunEngine writes its documents to.

`append` puts a document into memory and returns; a thread of its own commits what has come together every few
milliseconds (safe from the process's death) and syncs the disk each second and whenever somebody asks (safe from the
machine's). So the RunEngine never waits for a disk, but for the start and the stop of a run.
"""

import atexit
import contextlib
import os
import shutil
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bluefleet.documents import spool_store
from bluefleet.documents.dead_writer import close_open_runs
from bluefleet.documents.errors import SpoolFailed, SpoolFull
from bluefleet.documents.spool_lock import WriterLock
from bluefleet.documents.spool_store import Entry

DEFAULT_LIMIT_BYTES = 20 * 1024**3
#: Kept free on the spool's disk: other programs need it, and SQLite needs it to delete.
DISK_RESERVE = 256 * 1024**2
#: The share of the limit from which a plan should pause.
NEAR_FULL = 0.9
#: How long documents come together for one transaction, and how often the disk is synced, in seconds.
GATHER = 0.01
SYNC_EVERY = 1.0


@dataclass(frozen=True)
class Usage:
    """How full the spool is."""

    bytes: int
    limit: int

    @property
    def fraction(self) -> float:
        """1.0 is full."""
        return self.bytes / self.limit if self.limit > 0 else 1.0

    @property
    def near_full(self) -> bool:
        """Plans should pause now: what still comes of a run in hand has room."""
        return self.fraction >= NEAR_FULL


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
        os.chmod(self.path, 0o660)  # noqa: PTH101 - a call of the same kind as the lock's
        self._owner = os.getpid()
        self._pending: list[Entry] = []
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._urgent = threading.Event()
        self._synced = threading.Condition(self._guard)
        self._appended = 0
        self._durable = 0
        self._failure: Exception | None = None
        self._closing = False
        self._usage = self._measure()
        self._measured = time.monotonic()
        self._thread = threading.Thread(target=self._commit_until_closed, name=f"spool-{writer}", daemon=True)
        self._thread.start()
        # A process that ends without closing its spool has documents of the last milliseconds in memory.
        atexit.register(self.close)

    def append(self, run: str, name: str, body: bytes, *, scan_id: int | None = None) -> None:
        """Take a document. Raises SpoolFull at the limit (a stop always fits) and SpoolFailed on a bad disk."""
        self._check()
        if name != "stop" and self._usage.fraction >= 1.0:
            raise SpoolFull(
                f"{self.path} holds {self._usage.bytes} bytes of {self._usage.limit}: documents are not delivered "
                "(bluefleet status says why), or the disk is full"
            )
        with self._guard:
            self._pending.append(Entry(run, name, time.time(), body, scan_id))
            self._appended += 1
        if not self._wake.is_set():
            self._wake.set()

    def flush(self, timeout: float = 30.0) -> None:
        """Return when everything appended so far is on the disk. Raises SpoolFailed when it can't get there."""
        with self._synced:
            target = self._appended
            self._urgent.set()
            self._wake.set()
            reached = self._synced.wait_for(lambda: self._durable >= target or self._failure is not None, timeout)
        self._check()
        if not reached:
            raise SpoolFailed(f"{self.path}: the disk took more than {timeout:g} s to store a document")

    def usage(self) -> Usage:
        """How full the spool is, at most a second old."""
        return self._usage

    def close(self) -> None:
        """Store everything and let the next writer in. Runs still open are closed by whoever takes the lock next."""
        if self._closing or self._owner != os.getpid():
            return
        self._closing = True
        atexit.unregister(self.close)
        self._urgent.set()
        self._wake.set()
        self._thread.join(timeout=60)
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

    def _commit_until_closed(self) -> None:
        synced_at = time.monotonic()
        unsynced = False
        while True:
            self._wake.wait(max(0.0, synced_at + SYNC_EVERY - time.monotonic()) if unsynced else None)
            self._urgent.wait(GATHER)
            with self._guard:
                self._wake.clear()
                urgent = self._urgent.is_set()
                self._urgent.clear()
                batch, self._pending = self._pending, []
                reached = self._appended
            sync = urgent or time.monotonic() - synced_at >= SYNC_EVERY
            try:
                if batch or sync:
                    spool_store.append(self._connection, batch, sync=sync)
                if time.monotonic() - self._measured >= SYNC_EVERY or sync:
                    self._usage = self._measure()
                    self._measured = time.monotonic()
            except (sqlite3.Error, OSError) as error:
                self._fail(error)
                return
            unsynced = not sync
            if sync:
                synced_at = time.monotonic()
                with self._synced:
                    self._durable = reached
                    self._synced.notify_all()
            if self._closing and not self._pending:
                return

    def _fail(self, error: Exception) -> None:
        with self._synced:
            self._failure = error
            self._synced.notify_all()

    def _measure(self) -> Usage:
        used = spool_store.stored_bytes(self._connection)
        with contextlib.suppress(FileNotFoundError):
            used += self.path.with_name(f"{self.path.name}-wal").stat().st_size
        room = shutil.disk_usage(self.directory).free - DISK_RESERVE
        return Usage(used, min(self._limit, used + max(0, room)))
