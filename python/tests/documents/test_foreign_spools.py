"""Spools that somebody made to be read by a program with more rights: they reach no other spool, and hold none up."""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

import pytest
from test_forwarder import forwarder, make_open_run, wait_for
from test_spool import spooled

from bluefleet.documents import Spool, codec, spool_store, spool_trust
from bluefleet.documents.errors import SpoolFailed
from bluefleet.documents.forwarder import Forwarder
from bluefleet.documents.spool_lock import WriterLock
from bluefleet.documents.spool_runs import find_run

__all__ = ["forwarder"]

ENDLESS = """
CREATE VIEW runs AS WITH RECURSIVE endless (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless)
SELECT 'run' AS run, n AS scan_id, 0.5 AS time, n AS first_seq, NULL AS stop_seq FROM endless
"""


def changed(folder: Path, *statements: str) -> Path:
    """A spool with an open run, and then with what somebody made of it."""
    folder.mkdir(exist_ok=True)
    make_open_run(folder, "x")
    with contextlib.closing(sqlite3.connect(folder / "x.sqlite")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return folder / "x.sqlite"


@pytest.mark.parametrize("how", ["file", "folder"])
def test_a_link_to_a_spool_of_somebody_else_ends_none_of_its_runs(
    tmp_path: Path, forwarder: Forwarder, how: str
) -> None:
    (tmp_path / "emmy").mkdir()
    with Spool(tmp_path / "emmy", writer="emmy") as spool:
        spool.append("run", "start", codec.encode("start", {"uid": "run"}), scan_id=1)
        spool.flush()
        if how == "file":
            (tmp_path / "me").mkdir()
            (tmp_path / "me" / "x.sqlite").symlink_to("../emmy/emmy.sqlite")
            name = "me/x"
        else:
            (tmp_path / "me").symlink_to("emmy")
            name = "me/emmy"
        wait_for(lambda: name in forwarder._faults)
        time.sleep(1.5)
        assert [document for document, _ in spooled(tmp_path / "emmy", "emmy")] == ["start"]
        said = forwarder.status()["writers"]
        assert "is no file in a folder, but a link" in said[name]["trouble"]
        assert said["emmy/emmy"]["alive"]
    assert name not in forwarder._lanes


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a file somebody else's")
def test_a_spool_of_somebody_else_under_a_second_name_is_none(tmp_path: Path) -> None:
    (tmp_path / "emmy").mkdir()
    (tmp_path / "me").mkdir()
    make_open_run(tmp_path / "emmy", "emmy")
    os.chown(tmp_path / "me", 4321, 4321)
    path = tmp_path / "me" / "x.sqlite"
    path.hardlink_to(tmp_path / "emmy" / "emmy.sqlite")
    os.chown(path, 4322, 4322)
    with pytest.raises(SpoolFailed, match="belongs to user 4322, its folder to user 4321"):
        spool_store.connect(path)
    os.chown(path, 4321, 4321)
    spool_store.connect(path).close()


def test_a_link_that_was_a_file_a_moment_ago_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_open_run(tmp_path, "emmy")
    (tmp_path / "x.sqlite").symlink_to("emmy.sqlite")
    monkeypatch.setattr(spool_store, "of_its_owner", lambda _: None)
    with pytest.raises(SpoolFailed, match=r"leads to .*emmy\.sqlite"):
        spool_store.connect(tmp_path / "x.sqlite")


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_lock_that_is_no_file_is_not_opened(tmp_path: Path, kind: str) -> None:
    lock, target = tmp_path / "x.lock", tmp_path / "target"
    if kind == "link":
        lock.symlink_to(target)
    else:
        os.mkfifo(lock)
    with pytest.raises((OSError, SpoolFailed)):
        WriterLock.acquire(lock, timeout=0, claim=False)
    with pytest.raises((OSError, SpoolFailed)):
        WriterLock.is_held(lock)
    assert not target.exists()


def test_a_run_with_a_descriptor_that_is_none_is_closed_like_any_other(tmp_path: Path, forwarder: Forwarder) -> None:
    (tmp_path / "out").mkdir()
    with Spool(tmp_path / "out", writer="a") as spool:
        spool.append("run", "start", codec.encode("start", {"uid": "run"}), scan_id=1)
        spool.append("run", "descriptor", codec.encode("descriptor", {}))
        spool.append("run", "event", b"no document")
    (tmp_path / "out").rename(tmp_path / "a")
    make_open_run(tmp_path, "well")
    wait_for(lambda: spooled(tmp_path, "well")[-1][0] == "stop")

    def last() -> tuple[str, dict]:
        with contextlib.closing(spool_store.connect(tmp_path / "a" / "a.sqlite")) as connection:
            *_, (name, body) = spool_store.documents_of(connection, "run")
        return codec.decode(body) if name == "stop" else (name, {})

    wait_for(lambda: last()[0] == "stop")
    assert last()[1]["exit_status"] == "fail"
    assert "num_events" not in last()[1]


def test_whatever_goes_wrong_with_one_spool_is_said_and_holds_no_other_up(
    tmp_path: Path, forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch
) -> None:
    prune = Forwarder._prune

    def fails(self: Forwarder, path: Path, connection: sqlite3.Connection) -> None:
        if path.stem == "bad":
            raise KeyError("nobody thought of this")
        prune(self, path, connection)

    monkeypatch.setattr(Forwarder, "_prune", fails)
    Spool(tmp_path, writer="bad").close()
    Spool(tmp_path, writer="well").close()
    wait_for(lambda: {"well"} == set(forwarder._lanes))
    assert "nobody thought of this" in forwarder.status()["writers"]["bad"]["trouble"]
    assert "nobody thought of this" not in forwarder.status()["writers"]["well"]["trouble"]
    monkeypatch.undo()
    wait_for(lambda: "nobody thought of this" not in forwarder.status()["writers"]["bad"]["trouble"])
    assert "bad" in forwarder._lanes


@pytest.mark.parametrize(
    ("statements", "what"),
    [
        (["DROP TABLE runs", ENDLESS], "view runs"),
        (["CREATE TRIGGER more AFTER INSERT ON documents BEGIN DELETE FROM runs; END"], "trigger more"),
        (["CREATE VIEW other AS SELECT 1"], "view other"),
        (["ALTER TABLE runs ADD COLUMN more AS (2 * scan_id)"], "table runs"),
        (["CREATE INDEX slow ON runs (abs(scan_id))"], "index slow"),
        (["DROP TABLE heartbeat"], "no such table: heartbeat"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_only_the_tables_of_a_spool_are_read(tmp_path: Path, statements: list[str], what: str) -> None:
    path = changed(tmp_path, *statements)
    with pytest.raises(SpoolFailed, match=what):
        spool_store.connect(path)


def test_an_endless_view_holds_nobody_up(tmp_path: Path, forwarder: Forwarder) -> None:
    changed(tmp_path / "a", "DROP TABLE runs", ENDLESS)
    make_open_run(tmp_path, "well")
    wait_for(lambda: spooled(tmp_path, "well")[-1][0] == "stop")
    assert "view runs is none of a spool" in forwarder.status()["writers"]["a/x"]["trouble"]
    assert find_run([tmp_path / "a" / "x.sqlite", tmp_path / "well.sqlite"], "-1") == (tmp_path / "well.sqlite", "run")


def test_a_query_without_an_end_is_ended_and_rows_that_take_their_time_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_trust, "STEP_WITHIN", 0.2)
    make_open_run(tmp_path, "x")
    counted = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n{}) SELECT {} FROM n"
    with contextlib.closing(spool_store.connect(tmp_path / "x.sqlite")) as connection:
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            connection.execute(counted.format("", "count(*)"))
        rows = 0
        for (number,) in connection.execute(counted.format(" LIMIT 400000", "n")):
            if number % 150_000 == 1:
                time.sleep(0.3)
            rows += 1
        assert rows == 400_000


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runs SET run = x'ff'",
        "UPDATE runs SET time = 'early'",
        "UPDATE runs SET scan_id = 'first'",
    ],
)
def test_values_of_another_kind_are_trouble_of_their_spool_alone(
    tmp_path: Path, forwarder: Forwarder, statement: str
) -> None:
    changed(tmp_path / "a", statement)
    make_open_run(tmp_path, "well")
    wait_for(lambda: spooled(tmp_path, "well")[-1][0] == "stop")
    said = forwarder.status()["writers"]
    assert said["a/x"]["trouble"]
    assert said["well"]["backlog"] == 2
    assert find_run(forwarder._settings.spools(), "-1")
