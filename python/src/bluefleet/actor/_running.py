"""The process of the actor as others see it: the file with its pid, whether it answers, how it is ended and detached.

Who runs holds a lock on the file, so a pid in it is never that of somebody who took the number since. A file that belongs
to another user is nobody's word.
"""

import fcntl
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from bluefleet.fleet import Settings

# Seconds in which somebody may look whether the file is locked, and lock it for that.
_LOOKING = 0.5
_LOOK_AGAIN = 0.05


class AlreadyRuns(Exception):
    """Another actor of this site runs."""

    def __init__(self, file: Path, pid: int) -> None:
        self.pid = pid
        super().__init__(f"an actor runs already, process {pid or 'unknown'} (by {file})")


class NotOurs(Exception):
    """The file belongs to another user, who may have written anything into it."""

    def __init__(self, file: Path, owner: int) -> None:
        self.file = file
        super().__init__(f"{file} belongs to user {owner}, and not to {os.getuid()}, who runs this command")


@dataclass(frozen=True, slots=True)
class Running:
    """An actor that runs. `supervised`: systemd started it, and starts it again."""

    pid: int
    host: str
    port: int
    wire: str
    supervised: bool


def pid_file(settings: Settings) -> Path:
    """Where the actor of a manager says that it runs."""
    return settings.lib / "fleet" / "actor.pid"


@contextmanager
def holding(file: Path, here: Running) -> Generator[None]:
    """Say in the file that this process runs. Raises AlreadyRuns, NotOurs, OSError."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    with closing(os.fdopen(descriptor, "r+", encoding="ascii")) as open_file:
        _check_owner(file, descriptor)
        deadline = time.monotonic() + _LOOKING
        while not _lock(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise AlreadyRuns(file, _read(open_file.read()).pid)
            time.sleep(_LOOK_AGAIN)
        open_file.truncate(0)
        # The first line is for programs that read a pid and nothing else.
        open_file.write(f"{here.pid}\n{json.dumps(asdict(here))}\n")
        open_file.flush()
        try:
            yield
        finally:
            open_file.truncate(0)


def running(file: Path) -> Running | None:
    """The actor that runs, if one does. Raises NotOurs, OSError."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with closing(os.fdopen(descriptor, encoding="ascii")) as open_file:
        _check_owner(file, descriptor)
        if _lock(descriptor, fcntl.LOCK_SH):
            return None
        return _read(open_file.read())


def end(file: Path, actor: Running, *, within: float) -> bool:
    """Ask it to end, and wait until it has; says whether it did."""
    with suppress(ProcessLookupError):
        # What the descriptor means can't become another process; that it still is the actor, the file says.
        process = os.pidfd_open(actor.pid)
        try:
            if running(file) == actor:
                signal.pidfd_send_signal(process, signal.SIGTERM)
            ended, _, _ = select.select([process], [], [], within)
            return bool(ended)
        finally:
            os.close(process)
    return True


def answers(actor: Running, *, within: float) -> bool:
    """Whether it answers a `ping`, on whichever wire."""
    deadline = time.monotonic() + within
    heard = b""
    try:
        with socket.create_connection((actor.host, actor.port), timeout=within) as link:
            link.sendall(b"1 ping\n")
            while b"Pong" not in heard and (left := deadline - time.monotonic()) > 0:
                link.settimeout(left)
                piece = link.recv(4096)
                if not piece:
                    return False
                heard += piece
    except OSError:
        return False
    return b"Pong" in heard


def daemonise(work: Callable[[Callable[[str], None]], int], *, within: float) -> str:
    """Do the work in a process of its own, without this terminal; returns the first it tells, or why it did not.

    The work is given what to tell with, and returns the process' exit code.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()
        # What is no leader of its session never gets a terminal again.
        if os.fork() != 0:
            os._exit(0)
        _detached(work, writing)
    os.close(writing)
    os.waitpid(child, 0)
    with closing(os.fdopen(reading, "rb", buffering=0)) as pipe:
        ready, _, _ = select.select([pipe], [], [], within)
        if not ready:
            return f"it did not say within {within:g} s that it is ready"
        return pipe.read().decode() or "it ended without a word"


def _detached(work: Callable[[Callable[[str], None]], int], writing: int) -> NoReturn:
    def tell(words: str) -> None:
        os.write(writing, words.encode())
        os.close(writing)

    code = 1
    try:
        os.chdir("/")
        os.umask(0o022)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        code = work(tell)
    finally:
        # Never back into the program that was forked.
        os._exit(code)


def _check_owner(file: Path, descriptor: int) -> None:
    owner = os.fstat(descriptor).st_uid
    if owner != os.getuid():
        raise NotOurs(file, owner)


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(text: str) -> Running:
    """What stands in the file; it may be on its way into it."""
    _, _, rest = text.partition("\n")
    try:
        return Running(**json.loads(rest))
    except (ValueError, TypeError):
        return Running(0, "", 0, "", supervised=False)
