"""Files that a person names and the fleet's user opens: for somebody else it opens nothing that is its own."""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path


def read_named(file: Path) -> str:
    """Its text. Raises OSError, also where it is neither the caller's nor for everybody to read; UnicodeDecodeError."""
    with file.open(encoding="utf-8") as opened:
        # Of what was opened and not of the name, which may stand for something else by now.
        about = os.fstat(opened.fileno())
        if not (about.st_mode & stat.S_IROTH or about.st_uid == _caller()):
            raise PermissionError(errno.EACCES, "it is neither yours nor for everybody to read", str(file))
        return opened.read()


def log_outside(file: Path, own: Iterable[Path]) -> Path:
    """Where the log really is. Raises PermissionError where somebody else wants it in one of the fleet's `own` folders."""
    place = file.absolute().resolve()
    if _caller() != os.getuid() and any(place.is_relative_to(folder.resolve()) for folder in own):
        raise PermissionError(errno.EACCES, "the fleet keeps its own files there", str(file))
    return place


def _caller() -> int:
    """Who typed the command: sudo tells it."""
    return int(os.environ.get("SUDO_UID", os.getuid()))
