"""What a spool must be before its content is read.

On a desktop each person may write what they like in their own folder, and the forwarder, which reads all of them, has
more rights than any.
"""

import functools
import os
import sqlite3
import stat
import time
from pathlib import Path
from typing import Any

from bluefleet.documents.errors import SpoolFailed

#: How long one step of a query may take, in seconds, and after how many of SQLite's instructions that is looked at.
STEP_WITHIN = 30.0
LOOK_EVERY = 100_000


def of_its_owner(path: Path) -> None:
    """The file is no link to somebody else's, nor is its folder. Raises SpoolFailed, FileNotFoundError."""
    folder, file = path.parent.lstat(), path.lstat()
    if not stat.S_ISDIR(folder.st_mode) or not stat.S_ISREG(file.st_mode):
        raise SpoolFailed(f"{path} is no file in a folder, but a link or something else")
    # Who serves everybody may have made it.
    if file.st_uid not in {folder.st_uid, os.geteuid()}:
        raise SpoolFailed(f"{path} belongs to user {file.st_uid}, its folder to user {folder.st_uid}")


def opened_as_named(connection: sqlite3.Connection, path: Path) -> None:
    """SQLite has opened this file, and not what a link led to meanwhile. Raises SpoolFailed."""
    opened = connection.execute("PRAGMA database_list").fetchone()[2]
    if Path(opened) != path.parent.resolve() / path.name:
        raise SpoolFailed(f"{path} leads to {opened}")
    of_its_owner(path)


def only_tables_of(connection: sqlite3.Connection, schema: str, path: Path) -> None:
    """There is nothing in it but what the schema makes: a view or a trigger would run as who reads it. Raises SpoolFailed."""
    found, wanted = _objects(connection), _expected(schema)
    missing = [name for kind, name, _ in wanted - found if kind == "table"]
    if found - wanted:
        kind, name, _ = min(found - wanted, key=str)
        raise SpoolFailed(f"{path}: {kind} {name} is none of a spool")
    if missing:
        raise SpoolFailed(f"{path}: no such table: {min(missing)}")


@functools.cache
def _expected(schema: str) -> frozenset[tuple[Any, ...]]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(schema)
        return _objects(connection)
    finally:
        connection.close()


def _objects(connection: sqlite3.Connection) -> frozenset[tuple[Any, ...]]:
    return frozenset(connection.execute("SELECT type, name, sql FROM sqlite_master LIMIT 100"))


class HurriedCursor(sqlite3.Cursor):
    """Each row is a step: what is done with one takes the time that it takes."""

    def __next__(self) -> Any:
        if isinstance(self.connection, HurriedConnection):
            self.connection.begin()
        return super().__next__()


class HurriedConnection(sqlite3.Connection):
    """A query that does not come to an end is ended: "interrupted"."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._until = 0.0
        self.begin()
        self.set_progress_handler(lambda: time.monotonic() > self._until, LOOK_EVERY)

    def begin(self) -> None:
        """The time of a step begins."""
        self._until = time.monotonic() + STEP_WITHIN

    def execute(self, *arguments: Any) -> HurriedCursor:
        """As in sqlite3."""
        self.begin()
        return self.cursor(HurriedCursor).execute(*arguments)

    def executemany(self, *arguments: Any) -> HurriedCursor:
        """As in sqlite3."""
        self.begin()
        return self.cursor(HurriedCursor).executemany(*arguments)
