"""Overrides and history survive, whoever else writes at the same time."""

import multiprocessing
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from bluefleet.fleet import Override, Overrides, State, StateUnusable, caller, history
from bluefleet.fleet._overrides import put, remove

_NOW = datetime.now(UTC).isoformat()


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "fleet" / "state.sqlite")


def stopped(instance: str, who: str = "ada", **more: str) -> Override:
    return Override.model_validate({"node": "node1", "instance": instance, "kind": "stopped", "who": who, **more})


def test_before_anything_was_written_there_is_nothing_and_nothing_is_made(state: State) -> None:
    assert Overrides.now(state).all == ()
    assert history.entries(state) == []
    assert not state.file.exists()


def test_an_override_is_there_for_the_next_process_with_who_when_and_why(state: State) -> None:
    put(state, [stopped("cam1", reason="smells burnt")])
    (found,) = Overrides.now(State(state.file)).all
    assert (found.node, found.instance, found.kind) == ("node1", "cam1", "stopped")
    assert (found.who, found.reason) == ("ada", "smells burnt")
    assert datetime.now(UTC) - found.since < timedelta(seconds=10)
    assert "stopped by ada since" in found.words
    assert found.words.endswith("UTC: smells burnt")


def test_the_later_override_of_a_kind_replaces_the_earlier(state: State) -> None:
    put(state, [stopped("cam1"), stopped("cam1", who="bob"), stopped("cam10")])
    assert [(one.instance, one.who) for one in Overrides.now(state).all] == [("cam1", "bob"), ("cam10", "ada")]
    remove(state, [stopped("cam1")])
    assert [one.instance for one in Overrides.now(state).all] == ["cam10"]


def test_an_override_of_a_node_reaches_its_instances_and_no_other_node(state: State) -> None:
    node = Override(node="node1", kind="cordoned", who="ada")
    found = Overrides([node, stopped("cam1")])
    assert found.first("node1", "cam1", "disabled", "cordoned") == node
    assert found.first("node1", "cam10", "stopped") is None
    assert found.of("node10", "cam1") == []
    assert found.of_node("node1") == [node]


def test_a_kind_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="kind"):
        Override.model_validate({"node": "node1", "kind": "asleep", "who": "ada"})


def _write_many(file: Path, writer: int) -> None:
    for number in range(20):
        put(State(file), [stopped(f"cam{writer}-{number}", who=f"writer{writer}")])
        history.end(State(file), history.begin(State(file), f"writer{writer}", "stop", [], {}), "ok", [])


@pytest.mark.slow
def test_many_writers_at_once_lose_nothing(state: State) -> None:
    method = multiprocessing.get_context("spawn")
    writers = [method.Process(target=_write_many, args=(state.file, number)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(50)
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert len(Overrides.now(state).all) == 80
    found = history.entries(state, limit=1000)
    assert len(found) == 80
    assert {entry.result for entry in found} == {"ok"}


def test_the_first_writer_waits_for_who_has_the_file(state: State) -> None:
    state.file.parent.mkdir()
    other = sqlite3.connect(state.file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    gone = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    gone.start()
    put(state, [stopped("cam1")])
    gone.join()
    other.close()
    assert len(Overrides.now(state).all) == 1


def test_who_waits_in_vain_for_other_writers_is_told_so(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bluefleet.fleet._state._BUSY", 0.2)
    put(state, [stopped("cam1")])
    with state.writing(), pytest.raises(StateUnusable, match=r"others have been writing for 0\.2 s") as caught:
        put(state, [stopped("cam2")])
    assert caught.value.remedy.startswith("Try again")


def _write_first(folder: Path, together: Barrier, user: int) -> None:
    for trial in range(20):
        together.wait(30)
        put(State(folder / str(trial) / "state.sqlite"), [stopped(f"cam{user}")])


@pytest.mark.slow
def test_all_first_users_at_once_can_write(tmp_path: Path) -> None:
    method = multiprocessing.get_context("spawn")
    together = method.Barrier(2)
    users = [method.Process(target=_write_first, args=(tmp_path, together, user)) for user in range(2)]
    for user in users:
        user.start()
    for user in users:
        user.join(50)
    assert [user.exitcode for user in users] == [0, 0]
    assert [len(Overrides.now(State(folder / "state.sqlite")).all) for folder in tmp_path.iterdir()] == [2] * 20


def test_what_fails_in_the_middle_is_not_kept(state: State) -> None:
    put(state, [stopped("cam1")])

    def fail() -> None:
        with state.writing() as connection:
            connection.execute("DELETE FROM override")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert len(Overrides.now(state).all) == 1


def test_a_file_of_a_later_version_is_left_alone(state: State) -> None:
    put(state, [stopped("cam1")])
    connection = sqlite3.connect(state.file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StateUnusable, match="version 99"):
        Overrides.now(state)


def test_a_file_that_is_no_database_is_told(state: State) -> None:
    state.file.parent.mkdir()
    state.file.write_text("this is no database, " * 100)
    with pytest.raises(StateUnusable, match="not a database"):
        Overrides.now(state)


def test_a_full_disk_is_told_as_one_and_nothing_of_the_change_is_kept(state: State) -> None:
    put(state, [stopped("cam1")])

    def fill() -> None:
        with state.writing() as connection:
            # No more pages than there are: what SQLite meets on a full disk.
            connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
            connection.execute("DELETE FROM override")
            connection.execute("INSERT INTO disk VALUES (hex(zeroblob(1000000)), 0, 0, '')")

    with pytest.raises(StateUnusable, match="database or disk is full") as caught:
        fill()
    assert caught.value.remedy.startswith("Make room")
    assert len(Overrides.now(state).all) == 1


def test_a_disk_that_fails_is_told_as_one(state: State) -> None:
    put(state, [stopped("cam1")])

    def fail() -> None:
        with state.writing() as connection:
            connection.execute("ROLLBACK")
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
            raise error

    with pytest.raises(StateUnusable, match="disk I/O error") as caught:
        fail()
    assert "`dmesg`" in caught.value.remedy


def test_history_tells_what_came_of_it_and_what_never_ended(state: State) -> None:
    first = history.begin(state, "ada", "stop", ["node1/cam1"], {"reason": "dust"})
    history.end(state, first, "failed", ["node1/cam1: it is gone"])
    history.begin(state, "bob", "apply", ["node1", "node2"], {})
    latest, earlier = history.entries(state)
    assert (latest.who, latest.verb, latest.result, latest.ended) == ("bob", "apply", "unfinished", None)
    assert (earlier.result, earlier.detail, earlier.options) == (
        "failed",
        ["node1/cam1: it is gone"],
        {"reason": "dust"},
    )


def test_what_can_t_be_printed_is_shown_as_what_it_is(state: State) -> None:
    wipes = "gone\x1b[2J\u202e\n"
    entry = history.begin(state, "ada", "stop", ["node1/cam"], {"reason": wipes, "command": [wipes]})
    history.end(state, entry, "failed", [wipes])
    with state.writing() as connection:
        connection.execute("INSERT INTO override VALUES ('node1', '', 'cordoned', '', 'ada', ?, ?)", (wipes, _NOW))
    (found,) = history.entries(state)
    assert found.detail == [r"gone\x1b[2J\u202e\n"]
    assert found.options == {"reason": found.detail[0], "command": found.detail}
    assert [one.reason for one in Overrides.now(state).all] == found.detail


def test_history_of_a_person_is_that_of_every_door(state: State) -> None:
    for who in ("ada", "ada (over HTTP)", "adam", "adam (over HTTP)"):
        history.begin(state, who, "stop", ["node1"], {})
    assert [entry.who for entry in history.entries(state, who="ada")] == ["ada (over HTTP)", "ada"]
    assert [entry.who for entry in history.entries(state, who="ada (over HTTP)")] == ["ada (over HTTP)"]


def test_history_is_found_by_target_person_verb_and_time(state: State) -> None:
    for who, verb, target in (
        ("ada", "stop", "node1/cam1"),
        ("ada", "stop", "node1/cam10"),
        ("bob", "apply", "node1"),
        ("bob", "apply", "node10"),
    ):
        history.begin(state, who, verb, [target], {})

    def targets(**wanted: object) -> list[str]:
        return [entry.targets[0] for entry in history.entries(state, **wanted)]  # type: ignore[arg-type]

    assert targets(targets=["node1/cam1"]) == ["node1", "node1/cam1"]
    assert targets(nodes=["node1"]) == ["node1", "node1/cam10", "node1/cam1"]
    assert targets(who="bob") == ["node10", "node1"]
    assert targets(verb="stop", limit=1) == ["node1/cam10"]
    assert targets(since=datetime.now(UTC) + timedelta(hours=1)) == []


def test_who_called_is_what_sudo_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ada")
    assert caller() == "ada"
    monkeypatch.delenv("SUDO_USER")
    assert caller()
