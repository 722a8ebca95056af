"""Files that others read while they are written."""

import errno
import fcntl
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from bluefleet.fleet._state import StateUnusable

_FULL = {errno.ENOSPC, errno.EDQUOT}


def write_whole(path: Path, text: str) -> None:
    """Readers see the old text or the new one, whole, however many write at once; after a power cut too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two writers, be they threads, must not share the file that is not whole yet.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


@contextmanager
def one_at_a_time(file: Path) -> Generator[None, None, None]:
    """Wait until nobody else, in this process or another, is between these lines with that file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # flock and not lockf: threads of one process exclude each other as well.
    with file.open("a", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@contextmanager
def needed(file: Path, then: str) -> Generator[None, None, None]:
    """What these lines do with the file must be done; when it can't be, `then` says what makes up for it.

    Raises StateUnusable.
    """
    try:
        yield
    except OSError as error:
        what = (
            "Make room on the manager's disk"
            if error.errno in _FULL
            else "Run it as user bluefleet; `site.yml --tags fleet` makes its folder"
        )
        where = f" at {error.filename}" if error.filename else ""
        raise StateUnusable(file, f"{error.strerror or error}{where}", f"{what}. {then}") from error
