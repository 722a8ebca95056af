"""The spool's tables and every statement on them. One SQLite file a writer, `<writer>.sqlite`, in WAL mode.

documents   what the RunEngine emitted, in order; `seq` never goes back, not even after everything was deleted
deliveries  what Kafka acknowledged: its offset there; or why it was refused for good
runs        where each run begins and ends in `documents`

The live writer and the forwarder each have a connection of their own; SQLite's locks keep them apart and the
transactions of both are short.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bluefleet.documents.errors import SpoolFailed
from bluefleet.documents.spool_trust import HurriedConnection, of_its_owner, only_tables_of, opened_as_named

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, name TEXT NOT NULL, time REAL NOT NULL,
    body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS documents_of_run ON documents (run);
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY, kafka_offset INTEGER, time REAL NOT NULL, refused TEXT);
CREATE INDEX IF NOT EXISTS deliveries_by_time ON deliveries (time);
CREATE TABLE IF NOT EXISTS runs (
    run TEXT PRIMARY KEY, scan_id INTEGER, time REAL NOT NULL, first_seq INTEGER NOT NULL, stop_seq INTEGER);
CREATE INDEX IF NOT EXISTS runs_by_scan ON runs (scan_id);
CREATE TABLE IF NOT EXISTS heartbeat (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), time REAL NOT NULL);
"""


@dataclass(frozen=True)
class Entry:
    """A document on its way into the spool."""

    run: str
    name: str
    time: float
    body: bytes
    scan_id: int | None = None


@dataclass(frozen=True)
class Spooled:
    """A document in the spool."""

    seq: int
    run: str
    name: str
    time: float
    body: bytes


@dataclass(frozen=True)
class SpooledRun:
    """Where a run lies in the spool; `stop_seq` is None while it is open."""

    run: str
    scan_id: int | None
    time: float
    first_seq: int
    stop_seq: int | None


@dataclass(frozen=True)
class Backlog:
    """What waits for Kafka."""

    documents: int
    oldest_age: float
    delivered: int
    refused: int


def connect(path: Path, *, create: bool = False, patience: float = 30.0) -> sqlite3.Connection:
    """A connection in autocommit mode; with `create` as the spool's writer, else as somebody who trusts nothing in it.

    Waits so many seconds for another connection's lock. Raises SpoolFailed with what to do for a file that is no spool.
    """
    connection: sqlite3.Connection | None = None
    try:
        if not create:
            of_its_owner(path)
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}",
            uri=True,
            timeout=patience,
            isolation_level=None,
            check_same_thread=False,
            factory=sqlite3.Connection if create else HurriedConnection,
        )
        # Nothing in the file may call what has effects.
        connection.execute("PRAGMA trusted_schema = OFF")
        if not create:
            opened_as_named(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if create:
            connection.executescript(SCHEMA)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != SCHEMA_VERSION:
            raise SpoolFailed(f"{path} has layout {version}, this program writes {SCHEMA_VERSION}")
        if not create:
            only_tables_of(connection, SCHEMA, path)
    except (sqlite3.Error, OSError, SpoolFailed) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, SpoolFailed):
            raise
        raise SpoolFailed(
            f"{path}: {error}; move the file away to begin a new spool, and keep it: it may hold runs"
        ) from error
    return connection


def append(connection: sqlite3.Connection, entries: Iterable[Entry], *, sync: bool) -> None:
    """Store entries in one transaction; with `sync` they are on the disk itself when this returns.

    Without it they are safe from this process's death, not from the machine's.
    """
    connection.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for entry in entries:
            cursor = connection.execute(
                "INSERT INTO documents (run, name, time, body) VALUES (?, ?, ?, ?)",
                (entry.run, entry.name, entry.time, entry.body),
            )
            if entry.name == "start":
                connection.execute(
                    "INSERT OR IGNORE INTO runs (run, scan_id, time, first_seq) VALUES (?, ?, ?, ?)",
                    (entry.run, entry.scan_id, entry.time, cursor.lastrowid),
                )
            elif entry.name == "stop":
                connection.execute("UPDATE runs SET stop_seq = ? WHERE run = ?", (cursor.lastrowid, entry.run))
        if sync:
            connection.execute("INSERT OR REPLACE INTO heartbeat VALUES (1, ?)", (time.time(),))
        connection.execute("COMMIT")
    except sqlite3.Error:
        # On a full disk SQLite has rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def undelivered(connection: sqlite3.Connection, *, after: int, documents: int, size: int) -> list[Spooled]:
    """The next documents in order, at most so many and (beyond the first) so many bytes of them."""
    found: list[Spooled] = []
    total = 0
    rows = connection.execute(
        "SELECT seq, run, name, time, body FROM documents WHERE seq > ? ORDER BY seq LIMIT ?", (after, documents)
    )
    for row in rows:
        if not (isinstance(row[1], str) and isinstance(row[2], str) and isinstance(row[4], bytes)):
            raise SpoolFailed(f"what it has as document {row[0]} is none")
        total += len(row[4])
        if found and total > size:
            break
        found.append(Spooled(*row))
    rows.close()
    return found


def last_delivered(connection: sqlite3.Connection) -> int:
    """The highest sequence number that was delivered or refused: delivery is in order, so all before it were too."""
    return connection.execute("SELECT coalesce(max(seq), 0) FROM deliveries").fetchone()[0]


def mark_delivered(connection: sqlite3.Connection, delivered: Sequence[tuple[int, int | None, str | None]]) -> None:
    """Keep (seq, offset in Kafka, reason it was refused) of each."""
    now = time.time()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT OR REPLACE INTO deliveries (seq, kafka_offset, time, refused) VALUES (?, ?, ?, ?)",
        ((seq, offset, now, refused) for seq, offset, refused in delivered),
    )
    connection.execute("COMMIT")


def unmark(connection: sqlite3.Connection, *, from_offset: int, up_to: int) -> int:
    """Forget deliveries from the first on, up to `up_to`, that has such an offset in Kafka; how many were forgotten."""
    first: int | None = connection.execute(
        "SELECT min(seq) FROM deliveries WHERE kafka_offset >= ? AND seq <= ?", (from_offset, up_to)
    ).fetchone()[0]
    if first is None:
        return 0
    return connection.execute("DELETE FROM deliveries WHERE seq >= ?", (first,)).rowcount


def backlog(connection: sqlite3.Connection) -> Backlog:
    """How much waits, for how long, and what Kafka refused."""
    after = last_delivered(connection)
    count, oldest = connection.execute("SELECT count(*), min(time) FROM documents WHERE seq > ?", (after,)).fetchone()
    refused = connection.execute("SELECT count(*) FROM deliveries WHERE refused IS NOT NULL").fetchone()[0]
    return Backlog(count, max(0.0, time.time() - oldest) if count else 0.0, after, refused)


def stored_bytes(connection: sqlite3.Connection) -> int:
    """What the documents take on disk; pages that deletions freed are used again and don't count."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def freed_bytes(connection: sqlite3.Connection) -> int:
    """Pages of the file that deletions freed."""
    free, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_size"))
    return free * size


def prune(connection: sqlite3.Connection, *, delivered_before: float, documents: int) -> int:
    """Delete at most so many documents that Kafka acknowledged before that time, oldest first; how many went.

    What Kafka refused stays until a person has seen to it. A run's entry goes with its last document.
    """
    connection.execute("BEGIN IMMEDIATE")
    seqs = connection.execute(
        "SELECT seq FROM deliveries WHERE time < ? AND refused IS NULL AND seq < (SELECT max(seq) FROM deliveries) "
        "ORDER BY seq LIMIT ?",
        (delivered_before, documents),
    ).fetchall()
    connection.executemany("DELETE FROM documents WHERE seq = ?", seqs)
    connection.executemany("DELETE FROM deliveries WHERE seq = ?", seqs)
    if seqs:
        connection.execute(
            "DELETE FROM runs WHERE stop_seq IS NOT NULL AND stop_seq <= ? "
            "AND NOT EXISTS (SELECT 1 FROM documents WHERE documents.run = runs.run)",
            seqs[-1],
        )
    connection.execute("COMMIT")
    return len(seqs)


def runs(connection: sqlite3.Connection, where: str = "1", arguments: Sequence[object] = ()) -> list[SpooledRun]:
    """Runs in the order they began; `where` is one of this package's own conditions."""
    rows = connection.execute(
        f"SELECT run, scan_id, time, first_seq, stop_seq FROM runs WHERE {where} ORDER BY first_seq",  # noqa: S608 - see docstring
        tuple(arguments),
    ).fetchall()
    kinds = (str, int | None, float, int, int | None)
    if not all(isinstance(value, kind) for row in rows for value, kind in zip(row, kinds, strict=True)):
        raise SpoolFailed("what it has of runs is not what a writer writes")
    return [SpooledRun(*row) for row in rows]


def documents_of(
    connection: sqlite3.Connection, run: str, names: Sequence[str] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Name and body of a run's documents, all or those of some names, in order and one at a time."""
    chosen = "" if names is None else f" AND name IN ({', '.join('?' * len(names))})"
    yield from connection.execute(
        f"SELECT name, body FROM documents WHERE run = ?{chosen} ORDER BY seq",  # noqa: S608 - question marks only
        (run, *(names or ())),
    )


def has_start(connection: sqlite3.Connection, run: str) -> bool:
    """Whether the run's beginning is here, and so all of it: what leaves the spool leaves it oldest first."""
    start = "SELECT EXISTS (SELECT 1 FROM runs JOIN documents ON seq = first_seq WHERE runs.run = ?)"
    return bool(connection.execute(start, (run,)).fetchone()[0])


def sent_documents_of(connection: sqlite3.Connection, run: str) -> Iterator[Spooled]:
    """A run's documents that were delivered, or refused, in order and one at a time; the others are sent anyhow."""
    rows = connection.execute(
        "SELECT seq, run, name, documents.time, body FROM documents JOIN deliveries USING (seq) WHERE run = ? ORDER BY seq",
        (run,),
    )
    for row in rows:
        yield Spooled(*row)


def count_sent_of(connection: sqlite3.Connection, run: str) -> int:
    """How many `sent_documents_of` gives."""
    count = "SELECT count(*) FROM documents JOIN deliveries USING (seq) WHERE run = ?"
    return connection.execute(count, (run,)).fetchone()[0]


def refused_of(connection: sqlite3.Connection, run: str) -> set[int]:
    """Sequence numbers of a run's documents that Kafka refused."""
    rows = connection.execute(
        "SELECT seq FROM documents JOIN deliveries USING (seq) WHERE run = ? AND refused IS NOT NULL", (run,)
    )
    return {row[0] for row in rows}


def delivered_end(connection: sqlite3.Connection) -> int:
    """The offset in Kafka after that of the last document delivered; 0 when none was."""
    row = connection.execute(
        "SELECT kafka_offset + 1 FROM deliveries WHERE kafka_offset IS NOT NULL ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    return row[0] if row else 0


def offsets_of(connection: sqlite3.Connection, run: str) -> tuple[int | None, int | None]:
    """Where in Kafka a run lies: its lowest and its highest offset."""
    return connection.execute(
        "SELECT min(kafka_offset), max(kafka_offset) FROM documents JOIN deliveries USING (seq) WHERE run = ?", (run,)
    ).fetchone()
