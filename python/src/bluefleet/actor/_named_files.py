"""Files that a person names and the fleet's user opens: for somebody else it opens nothing that is its own."""

import errno
import logging
import os
import stat
from collections.abc import Sequence
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

_LOG_BYTES, _LOGS = 10 * 2**20, 3
#: Settings are a page. What has no end is not read to it.
_MOST_BYTES = 2**20


def read_named(file: Path) -> str:
    """Its text. Raises OSError, also where it is neither the caller's nor for everybody to read; UnicodeDecodeError."""
    # Whoever opens a pipe waits for its other end.
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), encoding="utf-8") as opened:
        # Of what was opened and not of the name, which may stand for something else by now.
        about = os.fstat(opened.fileno())
        if not (about.st_mode & stat.S_IROTH or about.st_uid == _caller()):
            raise PermissionError(errno.EACCES, "it is neither yours nor for everybody to read", str(file))
        if not stat.S_ISREG(about.st_mode) or about.st_size > _MOST_BYTES:
            raise OSError(errno.EINVAL, f"it is no file of at most {_MOST_BYTES} bytes", str(file))
        return opened.read()


def log_outside(file: Path, own: Sequence[Path]) -> Path:
    """Where the log really is. Raises OSError, also where somebody else wants it in one of the fleet's `own` folders."""
    try:
        place = file.absolute().resolve()
    except RuntimeError as error:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(file)) from error
    _refuse_own(place, own)
    return place


def log_handler(file: Path, own: Sequence[Path]) -> logging.Handler:
    """Writes the log, and begins a new file now and then, if the caller is the fleet's user. Raises as `log_outside`."""
    if not _for_somebody_else():
        return RotatingFileHandler(file, maxBytes=_LOG_BYTES, backupCount=_LOGS, encoding="utf-8")
    # In one file that is opened once: its folder is somebody's who may put a link in its place at any time.
    return _OpenedOutside(file, own)


class _OpenedOutside(logging.FileHandler):
    def __init__(self, file: Path, own: Sequence[Path]) -> None:
        self._own = own
        super().__init__(file, encoding="utf-8")

    def _open(self) -> TextIOWrapper:
        opened = super()._open()
        try:
            _refuse_own(Path(f"/proc/self/fd/{opened.fileno()}").readlink(), self._own)
        except PermissionError:
            opened.close()
            raise
        return opened


def _refuse_own(place: Path, own: Sequence[Path]) -> None:
    if _for_somebody_else() and any(place.is_relative_to(folder.resolve()) for folder in own):
        raise PermissionError(errno.EACCES, "the fleet keeps its own files there", str(place))


def _for_somebody_else() -> bool:
    return _caller() != os.getuid()


def _caller() -> int:
    """Who typed the command: sudo tells it."""
    told = os.environ.get("SUDO_UID", "")
    return int(told) if told.isdecimal() else os.getuid()
