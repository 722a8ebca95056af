"""Who writes a spool: an advisory lock on `<writer>.lock`, held as long as the writing process lives.

The kernel lets go of it when the process dies, however it dies and in whichever container; process ids would not do,
the forwarder is in another pid namespace.
"""

import fcntl
import json
import os
import socket
import stat
import time
from pathlib import Path
from typing import Any, cast

from bluefleet.documents.errors import SpoolBusy, SpoolFailed

RETRY = 0.05


class WriterLock:
    """The exclusive right to write one spool."""

    def __init__(self, descriptor: int, path: Path, predecessor: str) -> None:
        self.path = path
        #: In words, who wrote before and how that ended.
        self.predecessor = predecessor
        self._descriptor: int | None = descriptor
        # A forked child would keep the lock alive after our death.
        os.register_at_fork(after_in_child=self._drop)

    @classmethod
    def acquire(cls, path: Path, *, timeout: float, claim: bool = True) -> "WriterLock":
        """Take the lock, waiting at most `timeout` seconds. Raises SpoolBusy naming the holder.

        With `claim` the lock file then names this process; the forwarder only borrows the lock.
        """
        descriptor = _open(path, os.O_CREAT)
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = _describe(_read(descriptor))
                    os.close(descriptor)
                    raise SpoolBusy(f"{path.with_suffix('.sqlite')} is being written by {holder}") from None
            time.sleep(RETRY)
        lock = cls(descriptor, path, _describe(_read(descriptor)))
        if claim:
            lock.note(pid=os.getpid(), host=socket.gethostname(), since=time.time())
        return lock

    @staticmethod
    def is_held(path: Path) -> bool:
        """Whether a process that lives writes this spool now."""
        try:
            descriptor = _open(path)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def note(self, **facts: Any) -> None:
        """Write who holds the lock, or how it ended, for whoever comes next."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(facts).encode(), 0)

    def release(self) -> None:
        """Let the next writer in."""
        self._drop()

    def _drop(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _open(path: Path, more: int = 0) -> int:
    """The lock file, and nothing that a link leads to. Raises OSError, SpoolFailed."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | more, 0o660)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SpoolFailed(f"{path} is no file")
    return descriptor


def _read(descriptor: int) -> dict[str, Any]:
    try:
        facts: Any = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    except ValueError:
        # The holder died while it wrote its name, or somebody else wrote there.
        return {}
    return cast("dict[str, Any]", facts) if isinstance(facts, dict) else {}


def _describe(facts: dict[str, Any]) -> str:
    if not facts:
        return "an unknown process"
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(facts["since"]))
    except (LookupError, TypeError, ValueError, OverflowError, OSError):
        since = "an unknown time"
    return f"process {facts.get('pid', '?')} on {facts.get('host', '?')} (since {since})"
