"""A node has one operator at a time: a lock on a file, which the kernel releases when its owner ends, however it ends."""

import asyncio
import fcntl
import json
import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bluefleet.fleet._state import StateUnusable

# A wait is no busy loop, and nobody notices a fifth of a second.
_LOOK_AGAIN = 0.2


@dataclass(frozen=True, slots=True)
class Owner:
    """Who works on a node, since when."""

    who: str
    verb: str
    pid: int
    since: float

    @property
    def words(self) -> str:
        """As a person is told."""
        return f"{self.who} (`bluefleet {self.verb}`, process {self.pid}, for {max(time.time() - self.since, 0):.0f} s)"


class NodeBusy(Exception):
    """Somebody else works on the node, and did not end within the wait."""

    def __init__(self, node: str, owner: Owner | None, waited: float) -> None:
        self.node = node
        self.owner = owner
        self.remedy = "Wait for its end, or end it; `--wait SECONDS` waits longer"
        super().__init__(f"{owner.words if owner else 'somebody'} works on {node}; waited {waited:g} s")


@asynccontextmanager
async def node_lock(folder: Path, node: str, *, who: str, verb: str, wait: float) -> AsyncGenerator[None, None]:
    """Hold the node's lock; wait for it up to `wait` seconds. Raises NodeBusy, which names the owner, or StateUnusable."""
    # Who only asks for the owner holds it for a moment too.
    deadline = time.monotonic() + max(wait, _LOOK_AGAIN)
    with _opened(folder, node) as file:
        while not _taken(file):
            if time.monotonic() >= deadline:
                raise NodeBusy(node, _read(file), wait)
            await asyncio.sleep(_LOOK_AGAIN)
        _sign(file, json.dumps({"who": who, "verb": verb, "pid": os.getpid(), "since": time.time()}))
        try:
            yield
        finally:
            # What is in an unlocked file says nothing; closing the file releases the lock.
            file.truncate(0)


def _sign(file: IO[str], words: str) -> None:
    try:
        file.truncate(0)
        # Not through the file's own buffer, which would be tried again when it is closed.
        os.write(file.fileno(), words.encode())
    except OSError as error:
        raise StateUnusable(Path(file.name), str(error.strerror), "Make room on the manager's disk") from error


def _opened(folder: Path, node: str) -> IO[str]:
    file = folder / f"{node}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return file.open("a+", encoding="utf-8")
    except OSError as error:
        remedy = "Run it as user bluefleet; `site.yml --tags fleet` makes its folder"
        raise StateUnusable(file, str(error.strerror), remedy) from error


def owner(folder: Path, node: str) -> Owner | None:
    """Who works on the node now; none when nobody does."""
    try:
        with (folder / f"{node}.lock").open("r", encoding="utf-8") as file:
            return None if _taken(file) else _read(file)
    except FileNotFoundError:
        return None


def _taken(file: IO[str]) -> bool:
    # flock and not lockf: two tasks of one process exclude each other as well.
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: IO[str]) -> Owner | None:
    file.seek(0)
    try:
        return Owner(**json.loads(file.read()))
    except (ValueError, TypeError):
        # It was taken a moment ago, and its owner has not signed yet.
        return None
