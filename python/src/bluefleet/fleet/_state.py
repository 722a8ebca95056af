"""Operator state on the manager: one SQLite file, its shape by version, safe for several writers at once."""

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

# Each entry makes the shape that its position (from 1) says; only ever add to the end.
_SHAPES = (
    """
    CREATE TABLE override (
        node TEXT NOT NULL,
        instance TEXT NOT NULL,
        kind TEXT NOT NULL,
        value TEXT NOT NULL,
        who TEXT NOT NULL,
        reason TEXT NOT NULL,
        since TEXT NOT NULL,
        PRIMARY KEY (node, instance, kind)
    ) WITHOUT ROWID;
    CREATE TABLE history (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        began TEXT NOT NULL,
        ended TEXT,
        who TEXT NOT NULL,
        verb TEXT NOT NULL,
        targets TEXT NOT NULL,
        options TEXT NOT NULL,
        result TEXT NOT NULL,
        detail TEXT NOT NULL
    );
    CREATE TABLE disk (
        node TEXT PRIMARY KEY,
        free INTEGER NOT NULL,
        total INTEGER NOT NULL,
        seen TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE applied (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        node TEXT NOT NULL,
        instance TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        spec TEXT NOT NULL,
        applied TEXT NOT NULL,
        who TEXT NOT NULL,
        verb TEXT NOT NULL,
        withdrawn INTEGER NOT NULL
    );
    CREATE INDEX applied_to ON applied (node, instance, id);
    """,
    """
    CREATE TABLE trouble (
        node TEXT NOT NULL,
        instance TEXT NOT NULL,
        spec TEXT NOT NULL,
        reason TEXT NOT NULL,
        tries INTEGER NOT NULL,
        tried TEXT,
        gave_up TEXT,
        well_since TEXT,
        PRIMARY KEY (node, instance)
    ) WITHOUT ROWID;
    """,
    # Of what was applied before, nobody noted whether a name moved or two nodes have one each: nothing counts as taken over.
    """
    CREATE TABLE holder (
        node TEXT NOT NULL,
        instance TEXT NOT NULL,
        since TEXT NOT NULL,
        beside TEXT NOT NULL,
        PRIMARY KEY (node, instance)
    ) WITHOUT ROWID;
    INSERT INTO holder SELECT node, instance, MAX(applied), (
        SELECT json_group_array(DISTINCT other.node) FROM applied AS other
        WHERE other.instance = mine.instance AND other.node != mine.node
    ) FROM applied AS mine GROUP BY node, instance;
    """,
)
# Seconds that a writer waits for another; each holds the file for milliseconds.
_BUSY = 10.0
_LOOK_AGAIN = 0.01
_REMEDY = "Run it as user bluefleet; `site.yml --tags fleet` makes its folder"
_REMEDIES = {
    sqlite3.SQLITE_FULL: "Make room on the manager's disk and try again",
    sqlite3.SQLITE_IOERR: "Look at the manager's disk: `df`, `dmesg`; then try again",
}


class StateUnusable(Exception):
    """The file of overrides and history can't be read or written, or is of a later version."""

    def __init__(self, file: Path, reason: str, remedy: str) -> None:
        self.file = file
        self.remedy = remedy
        super().__init__(f"{file}: {reason}")


class State:
    """The file; nothing is kept open between two calls, so any number of programs may use it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection | None, None, None]:
        """A connection to ask; none as long as nobody has written anything. Raises StateUnusable."""
        if not self.file.exists():
            yield None
            return
        with self._connected() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Generator[sqlite3.Connection, None, None]:
        """A transaction: all of it is kept, across a power cut too, or nothing. Raises StateUnusable."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(str(error)) from error
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                # SQLite ended it by itself where the disk is full or fails.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _connected(self) -> Generator[sqlite3.Connection, None, None]:
        try:
            connection = sqlite3.connect(self.file, timeout=_BUSY, isolation_level=None)
        except sqlite3.Error as error:
            raise self._unusable(str(error)) from error
        try:
            connection.row_factory = sqlite3.Row
            self._shape(connection)
            yield connection
        except sqlite3.Error as error:
            if _is_busy(error):
                reason = f"others have been writing for {_BUSY:g} s"
                remedy = "Try again; `bluefleet status` shows who works on which node"
                raise StateUnusable(self.file, reason, remedy) from error
            raise self._unusable(str(error), _REMEDIES.get(_code(error), _REMEDY)) from error
        finally:
            connection.close()

    def _shape(self, connection: sqlite3.Connection) -> None:
        if self._version(connection) == len(_SHAPES):
            return
        self._write_ahead(connection)
        connection.execute("BEGIN IMMEDIATE")
        # Somebody else may have made it meanwhile.
        version = self._version(connection)
        if version > len(_SHAPES):
            connection.execute("ROLLBACK")
            raise StateUnusable(
                self.file,
                f"it is of version {version}, this command knows versions up to {len(_SHAPES)}",
                "Use the command that wrote it, or restore /var/lib/bluefleet from the backup made before",
            )
        for script in _SHAPES[version:]:
            for statement in script.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(_SHAPES)}")
        connection.execute("COMMIT")

    @staticmethod
    def _write_ahead(connection: sqlite3.Connection) -> None:
        """Let readers and a writer not wait for each other. SQLite's own wait does not cover this change."""
        deadline = time.monotonic() + _BUSY
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > deadline:
                    raise
            else:
                return
            time.sleep(_LOOK_AGAIN)

    @staticmethod
    def _version(connection: sqlite3.Connection) -> int:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])

    def _unusable(self, reason: str, remedy: str = _REMEDY) -> StateUnusable:
        return StateUnusable(self.file, reason, remedy)


def _is_busy(error: sqlite3.Error) -> bool:
    return _code(error) == sqlite3.SQLITE_BUSY


def _code(error: sqlite3.Error) -> int:
    # The upper bytes tell more exactly what: busy with what, which access failed.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
