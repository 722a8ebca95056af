"""How full a spool is: one measure for the writer that refuses, the plan that pauses and the forwarder that deletes."""

import contextlib
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from bluefleet.documents import spool_store

#: Kept free on the spool's disk: other programs need it, and SQLite needs it to delete.
DISK_RESERVE = 256 * 1024**2


@dataclass(frozen=True)
class Usage:
    """How full the spool is."""

    bytes: int
    limit: int

    @property
    def fraction(self) -> float:
        """1.0 is full."""
        return self.bytes / self.limit if self.limit > 0 else 1.0


def measure(connection: sqlite3.Connection, path: Path, limit: int) -> Usage:
    """What the spool takes, of `limit` or of what its disk allows, whichever is less.

    Pages that deletions freed are room too, or a full disk would stay full whatever is deleted.
    """
    used = spool_store.stored_bytes(connection)
    with contextlib.suppress(FileNotFoundError):
        used += path.with_name(f"{path.name}-wal").stat().st_size
    room = shutil.disk_usage(path.parent).free - DISK_RESERVE + spool_store.freed_bytes(connection)
    return Usage(used, min(limit, used + max(0, room)))
