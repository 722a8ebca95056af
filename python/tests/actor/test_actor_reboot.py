"""What the actor takes on itself when it is told to reboot without names, and how long it waits for the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actor_process import ActorProcess, JsonClient
from bluefleet.actor._commands import _rebooting
from bluefleet.actor._fleet import Fleet
from bluefleet.actor._settings import ActorSettings
from bluefleet.fleet import ActorLinks, Call, Settings, State, history, reboot_ends_within
from bluefleet.model import Site


def site(power: dict[str, Any], *names: str) -> Site:
    addresses = {"boss": "127.0.0.1", "node1": "127.0.0.2"}
    node = {"port": 1, "transport": "plain", "power": power}
    return Site.model_validate(
        {
            "schema_version": 1,
            "site": "hill",
            "hosts": {
                "boss": {"address": addresses["boss"], "groups": ["manager", "nodes"]},
                "node1": {"address": addresses["node1"], "groups": ["nodes"]},
            },
            "registry": None,
            "images": {},
            "nodes": [{"name": name, "address": addresses[name], **node} for name in names],
        }
    )


@pytest.fixture
def outlet(tmp_path: Path) -> Path:
    """A power driver that fails; beside it stands what it was asked."""
    script = tmp_path / "outlet"
    script.write_text('#!/bin/sh\necho "$@" >> "$0.said"\nexit 1\n')
    script.chmod(0o755)
    return script


@pytest.fixture
def actor(tmp_path: Path, outlet: Path, request: pytest.FixtureRequest) -> Iterator[ActorProcess]:
    settings = Settings(etc=tmp_path / "etc", lib=tmp_path / "lib")
    power = {"command": [str(outlet), "{action}"], "off_seconds": 0}
    found = ActorProcess(settings, site(power, *request.param), {"node_seconds": 1}).start()
    yield found
    found.stop()


def told(actor: ActorProcess, command: str) -> tuple[list[str], str, str]:
    """What it warned of, the code it ended with and the error."""
    link = JsonClient(actor.port)
    replies = link.told(command)
    link.close()
    warned = [str(keywords["text"]) for code, keywords in replies if code == "w" and "text" in keywords]
    code, keywords = replies[-1]
    return warned, code, str(keywords.get("error", ""))


@pytest.mark.slow
@pytest.mark.parametrize("actor", [("boss", "node1")], indirect=True)
def test_without_names_the_manager_is_left_out_and_says_so(actor: ActorProcess, outlet: Path) -> None:
    warned, code, error = told(actor, "reboot --hard")
    assert "Left out: boss is the manager itself. Reboot it by hand." in warned
    assert (code, "node1 (power off failed" in error, "boss" in error) == ("f", True, False)
    assert outlet.with_name("outlet.said").read_text() == "off\n"
    assert history.entries(State(actor.settings.state_file))[0].targets == ["node1"]
    # Who names it is told that it failed.
    assert "boss (it is the manager itself" in told(actor, "reboot --hard -n boss")[2]
    assert outlet.with_name("outlet.said").read_text() == "off\n"


@pytest.mark.slow
@pytest.mark.parametrize("actor", [("boss",)], indirect=True)
def test_a_manager_alone_is_no_success(actor: ActorProcess, outlet: Path) -> None:
    _, code, error = told(actor, "reboot")
    assert (code, "boss (it is the manager itself" in error) == ("f", True)
    assert not outlet.with_name("outlet.said").exists()


def test_it_waits_longer_than_the_verb_takes_with_the_slowest_power(tmp_path: Path) -> None:
    declared = site({"command": ["outlet", "{action}"], "off_seconds": 900}, "node1")
    settings = Settings(etc=tmp_path / "etc", lib=tmp_path / "lib")
    ActorProcess(settings, declared).declare()
    actor = ActorSettings(reboot_seconds=300)
    fleet = Fleet(settings, actor, ActorLinks())
    assert _rebooting(fleet, {}) > reboot_ends_within(declared, Call("reboot", deadline=300.0)) > 300 + 900
