"""Somebody writes to the state file for long: who asks for what must be noted there waits, and nobody else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from actor_process import ActorProcess, JsonClient
from bluefleet.fleet import Override, Settings, State, history
from bluefleet.fleet._overrides import put
from bluefleet.model import Site
from camera_process import free_port

pytestmark = pytest.mark.slow

Dial = Callable[[], JsonClient]


@pytest.fixture
def actor(tmp_path: Path) -> Iterator[ActorProcess]:
    """Of a site with a camera that nobody answers for; its state file is there already."""
    instance = {"name": "cam1", "image": "camera", "actor": {"port": free_port()}}
    site = Site.model_validate(
        {
            "schema_version": 1,
            "site": "hill",
            "hosts": {"node1": {"address": "127.0.0.1", "groups": ["nodes"]}},
            "registry": None,
            "images": {"camera": {"reference": "camera"}},
            "nodes": [{"name": "node1", "address": "127.0.0.1", "port": 1, "instances": [instance]}],
        }
    )
    found = ActorProcess(Settings(etc=tmp_path / "etc", lib=tmp_path / "lib"), site, {"talk_seconds": 2})
    found.declare()
    put(State(found.settings.state_file), [Override(node="node9", kind="cordoned", who="ada")])
    found.start()
    yield found
    found.stop()


@pytest.fixture
def dial(actor: ActorProcess) -> Iterator[Dial]:
    made: list[JsonClient] = []

    def one() -> JsonClient:
        made.append(JsonClient(actor.port))
        return made[-1]

    yield one
    for client in made:
        client.close()


@pytest.fixture
def writer(actor: ActorProcess) -> Iterator[sqlite3.Connection]:
    """Another program in the middle of writing."""
    with closing(sqlite3.connect(actor.settings.state_file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


@pytest.mark.parametrize(
    ("command", "ends"), [("disable node1", ":"), ("talk --names cam1 expose", "f"), ("reconnect", "f")]
)
def test_ping_answers_while_a_command_waits_for_the_file(
    actor: ActorProcess, dial: Dial, writer: sqlite3.Connection, command: str, ends: str
) -> None:
    waits, asks = dial(), dial()
    number = waits.send(command)
    waits.until(number, ">")
    # By the last of them the command has come to the file.
    assert [asks.ask("ping")[0] for _ in range(100)] == [":"] * 100

    writer.execute("COMMIT")
    replies = [one for one in waits.replies(number) if one["header"]["command_id"] == number]
    assert replies[-1]["header"]["message_code"] == ends, replies
    (entry, *_) = history.entries(State(actor.settings.state_file))
    assert (entry.verb, entry.result) == (
        command.partition(" ")[0].replace("reconnect", "apply"),
        "ok" if ends == ":" else "failed",
    )


def test_no_command_that_is_given_up_while_it_waits_is_unfinished_for_ever(
    actor: ActorProcess, dial: Dial, writer: sqlite3.Connection
) -> None:
    waits = dial()
    waits.until(waits.send("disable node1"), ">")
    assert actor.process is not None
    actor.process.terminate()
    writer.execute("COMMIT")
    assert actor.process.wait(20) == 0
    assert [(one.verb, one.result) for one in history.entries(State(actor.settings.state_file))] in (
        [("disable", "interrupted")],
        # It came to its end before it was told.
        [("disable", "ok")],
        [],
    )
