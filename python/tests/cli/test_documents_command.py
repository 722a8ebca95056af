"""`bluefleet documents backlog | dead | replay` against services that stand in for the forwarder and the sinks."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from bluefleet.cli import _document_places
from bluefleet.cli.documents import app
from bluefleet.documents.ask import Place
from bluefleet.documents.errors import LetterNotFound, RunNotFound
from bluefleet.documents.run_digest import RunDigest
from bluefleet.documents.status_server import StatusServer

UID = "0f3a5c1e-0000-4000-8000-000000000001"
LETTER = {"number": 7, "time": 1.7e9, "sink": "tiled-sink", "reason": "no place for it", "name": "event", "run": UID}
LETTER |= {"seq_num": 3, "offset": 40}


class DocumentPath:
    """The document path as three services tell of it."""

    def __init__(self) -> None:
        self.forwarder: dict[str, Any] = {"problems": [], "delivered_end": 50, "dead_letters": 0}
        self.forwarder["desktops"] = {"office": {"waiting": 0, "silent_for": 3.0}}
        self.forwarder["writers"] = {"worker": {"backlog": 0, "oldest_age": 0.0}}
        self.sink: dict[str, Any] = {"problems": [], "position": 50, "lag": 0, "oldest_age": 0.0}
        self.letters: list[dict[str, Any]] = []
        #: Letters that come back.
        self.back: list[dict[str, Any]] = []
        self.done: list[tuple[str, str, Mapping[str, Any]]] = []

    def held(self, reference: str) -> dict[str, Any]:
        if reference not in {"-1", UID}:
            raise RunNotFound(f"no run {reference}")
        return RunDigest(run=UID, scan_id=4, start="a", stop="b", exit_status="success").model_dump()

    def letter(self, number: str) -> dict[str, Any]:
        if not number:
            return {"letters": self.letters}
        for letter in self.letters:
            if letter["number"] == int(number):
                return letter | {"document": {"uid": "x", "seq_num": 3}}
        raise LetterNotFound(f"there is no dead letter {number}")

    def settle(self, how: str, content: Mapping[str, Any]) -> dict[str, Any]:
        self.done.append(("dead", how, content))
        self.letters = [letter for letter in self.letters if letter["number"] not in content["numbers"]] + self.back
        return {"source": "dead letters", "documents": len(content["numbers"]), "end": 50}

    def replay(self, run: str, content: Mapping[str, Any]) -> dict[str, Any]:
        self.done.append(("replay", run, content))
        return self.planned(run)

    def planned(self, run: str) -> dict[str, Any]:
        return {"run": run, "source": "spool", "documents": 12, "end": 50}


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> Iterator[DocumentPath]:
    """Services at ports of this machine."""
    told = DocumentPath()
    routes: dict[str, Callable[[str], Mapping[str, Any]]] = {
        "status": lambda _: told.forwarder,
        "runs": told.held,
        "kafka": told.held,
        "dead": told.letter,
        "replay": told.planned,
        "named": lambda _: {"runs": [{"run": UID, "time": 1.0, "scan_id": 4}]},
    }
    actions = {"dead": told.settle, "replay": told.replay}
    forwarder = StatusServer(0, routes, lambda: True, actions=actions)
    sinks = [StatusServer(0, {"status": lambda _: told.sink, "runs": told.held}, lambda: True) for _ in range(2)]
    for server in (forwarder, *sinks):
        server.start()
    urls = {
        name: f"http://127.0.0.1:{server.port}"
        for name, server in zip(("forwarder", "mongo", "tiled"), (forwarder, *sinks), strict=True)
    }
    stores = [Place("spool", f"{urls['forwarder']}/runs"), Place("kafka", f"{urls['forwarder']}/kafka")]
    stores += [Place(name, f"{urls[name]}/runs") for name in ("mongo", "tiled")]
    places = _document_places.Places(
        Path("/etc/ssl/certs/ca-certificates.crt"),
        Place("forwarder", urls["forwarder"]),
        [Place(f"{name}-sink", urls[name]) for name in ("mongo", "tiled")],
        stores,
        [Place("spool", f"{urls['forwarder']}/named")],
        recommender=Place("recommender", urls["mongo"]),
        desktops=["office"],
    )
    for module in ("documents", "_dead_letters", "_replay"):
        monkeypatch.setattr(f"bluefleet.cli.{module}.places_of", lambda: places)
    yield told
    for server in (forwarder, *sinks):
        server.stop()


def call(*words: str) -> Result:
    group = typer.Typer()
    group.add_typer(app, name="documents")
    return CliRunner().invoke(group, ["documents", *words])


def test_nothing_waits(path: DocumentPath) -> None:
    told = call("backlog", "--json")
    assert told.exit_code == 0
    content = json.loads(told.stdout)
    assert content["ok"]
    assert [(row["source"], row["target"], row["documents"]) for row in content["waiting"]] == [
        ("worker", "kafka", 0),
        ("terminals of office", "kafka", 0),
        ("kafka", "mongo-sink", 0),
        ("kafka", "tiled-sink", 0),
        ("kafka", "recommender", 0),
    ]


def test_what_waits_is_shown_with_age_and_reason(path: DocumentPath) -> None:
    path.forwarder["writers"]["worker"] = {"backlog": 30, "oldest_age": 12.5}
    path.forwarder["problems"] = ["worker: Kafka at kafka:9092: gone", "topic lab is not made yet"]
    path.forwarder["dead_letters"] = 2
    # It hangs at its database, and has not heard of what came since.
    path.sink |= {"position": 41, "lag": 0, "oldest_age": 3.0, "problems": ["Mongo at x: gone"]}
    told = call("backlog")
    assert told.exit_code == 1
    lines = [" ".join(line.split()) for line in told.stdout.splitlines()]
    assert "worker kafka 30 12.5 s Kafka at kafka:9092: gone; topic lab is not made yet" in lines
    assert "kafka mongo-sink 9 3.0 s Mongo at x: gone" in lines
    assert "2 dead letters wait: `bluefleet documents dead` shows them" in lines


def test_a_desktop_that_is_stuck_or_silent_is_shown(path: DocumentPath) -> None:
    stuck = {"waiting": 9, "oldest_age": 70.5, "silent_for": 4.0, "problems": ["ada/ada: Kafka at x: gone"]}
    path.forwarder["desktops"]["office"] = stuck
    told = call("backlog")
    assert told.exit_code == 1
    lines = [" ".join(line.split()) for line in told.stdout.splitlines()]
    assert "terminals of office kafka 9 70.5 s ada/ada: Kafka at x: gone" in lines
    path.forwarder["desktops"] = {}
    silent = call("backlog")
    assert silent.exit_code == 1
    assert "its forwarder never told how it is" in " ".join(silent.stdout.split())


def test_dead_letters_are_listed_and_shown(path: DocumentPath) -> None:
    assert call("dead").exit_code == 0
    path.letters = [LETTER]
    listed = call("dead")
    assert listed.exit_code == 1
    assert "event 3 of run 0f3a5c1e" in listed.stdout
    assert "no place for it" in listed.stdout
    shown = call("dead", "7")
    assert shown.exit_code == 0
    assert '"seq_num": 3' in shown.stdout
    missing = call("dead", "8")
    assert missing.exit_code == 2
    assert "there is no dead letter 8" in missing.stderr


def test_a_letter_is_put_away_with_a_reason_only(path: DocumentPath) -> None:
    path.letters = [LETTER]
    assert call("dead", "7", "--dismiss").exit_code == 2
    assert call("dead", "--dismiss", "--reason", "old").exit_code == 2
    assert call("dead", "7", "--dismiss", "--reason", "old", "--dry-run").exit_code == 0
    assert path.done == []
    assert call("dead", "7", "--dismiss", "--reason", "old").exit_code == 0
    ((_, how, content),) = path.done
    assert (how, content["numbers"]) == ("dismiss", [7])
    assert content["reason"].startswith("old (")


def test_a_run_is_sent_again_and_compared(path: DocumentPath) -> None:
    planned = call("replay", "-1", "--dry-run", "--json")
    assert (planned.exit_code, path.done) == (0, [])
    assert json.loads(planned.stdout)["documents"] == 12
    done = call("replay", "-1", "--json")
    assert done.exit_code == 0, done.stderr
    assert path.done == [("replay", UID, {})]
    assert json.loads(done.stdout)["verdict"]["equal"]
    assert "12 documents sent again from spool" in done.stderr


def test_a_sink_that_does_not_store_it_is_named(path: DocumentPath) -> None:
    path.sink |= {"position": 45, "problems": ["Mongo at x: gone"]}
    done = call("replay", UID, "--wait", "0")
    assert done.exit_code == 1
    assert "mongo-sink has not stored it within 0 s: is at 45 of 50 ['Mongo at x: gone']" in done.stderr


def test_dead_letters_are_sent_again(path: DocumentPath) -> None:
    assert call("replay").exit_code == 2
    path.letters = [LETTER, LETTER | {"number": 8, "run": "other"}]
    assert call("replay", "--dead", "--dry-run").exit_code == 0
    assert path.done == []
    assert call("replay", UID, "--dead").exit_code == 0
    assert [content["numbers"] for _, _, content in path.done] == [[7]]
    assert call("replay", "--dead").exit_code == 0
    assert [content["numbers"] for _, _, content in path.done] == [[7], [8]]


def test_what_comes_back_is_a_failure(path: DocumentPath) -> None:
    path.letters, path.back = [LETTER], [LETTER | {"number": 9}]
    done = call("replay", "--dead")
    assert done.exit_code == 1
    assert "came back as 9, event 3 of run 0f3a5c1e: no place for it" in done.stderr


def test_a_run_that_nobody_has_is_a_request_that_makes_no_sense(path: DocumentPath) -> None:
    done = call("replay", "deadbeef")
    assert done.exit_code == 2
    assert "no run deadbeef" in done.stderr
