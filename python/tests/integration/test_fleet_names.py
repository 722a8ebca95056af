"""Names that begin other names: whatever is done to cam1 or node1 is done to nothing of cam10 or node10, at no door."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from test_fleet_commands import bluefleet, manager, said
from test_fleet_operate import sleeper

from bluefleet.fleet import Overrides, Settings, State, history
from real_engine import MakeSite, Seen
from service_process import Serve, declare

__all__ = ["manager"]

CHANGES = [
    ["stop"],
    ["start"],
    ["restart"],
    ["kill"],
    ["start"],
    ["disable", "--reason", "dust"],
    ["enable"],
    ["cordon"],
    ["simulate"],
    ["clear"],
    ["apply", "--force"],
    ["update"],
    ["stop"],
    ["clear"],
    ["reconnect"],
]


@pytest.fixture
def others(make_site: MakeSite, settings: Settings, seen: Seen, word: str) -> Callable[[], Any]:
    """Two nodes, one instance that is spoken of and two that are not; tells what is known of the others."""
    twin = {"simulated": {"image": "tiny"}}
    cams = {name: sleeper(f"{word}-{name}", **twin) for name in ("cam1", "cam10", "cam100")}
    declare(make_site({"node1": [cams["cam1"], cams["cam10"]], "node10": [cams["cam100"]]}), settings)
    assert bluefleet("apply").exit_code == 0
    state = State(settings.state_file)

    def known() -> Any:
        places = [seen.inspect(f"bluefleet-{word}-{name}") for name in ("cam10", "cam100")]
        overrides = [one for one in Overrides.now(state).all if one.instance != f"{word}-cam1"]
        return [(place["Id"], place["State"]["StartedAt"]) for place in places], overrides

    return known


def targets(settings: Settings) -> list[str]:
    return history.entries(State(settings.state_file))[0].targets


@pytest.mark.slow
def test_no_verb_mixes_them_up(others: Callable[[], Any], settings: Settings, word: str) -> None:
    cam1, before = f"{word}-cam1", others()
    assert before[1] == []
    for words in CHANGES:
        done = said(*words, cam1)
        assert [node["name"] for node in done["nodes"]] == ["node1"], words
        assert {step["instance"] for node in done["nodes"] for step in node["steps"]} <= {cam1}, words
        assert targets(settings) == [f"node1/{cam1}"], words
        assert others() == before, words
    assert bluefleet("rollback", cam1).exit_code == 1
    assert others() == before

    assert [one["name"] for node in said("status", cam1)["nodes"] for one in node["instances"]] == [cam1]
    assert [node["name"] for node in said("status", "node1")["nodes"]] == ["node1"]
    assert said("images", cam1)["nodes"][0]["images"][0]["wanted_by"] == [cam1]
    assert {one["instance"] for one in said("logs", cam1, "--all")["lines"]} <= {cam1}
    told = json.loads(bluefleet("exec", "--json", cam1, "/bin/bash", "-c", "echo $BLUEFLEET_INSTANCE").stdout)
    assert told["stdout"] == f"{cam1}\n"
    said("cordon", f"{word}-cam10")
    assert f"node1/{word}-cam10" not in [name for one in said("history", cam1)["entries"] for name in one["targets"]]
    # A node is its own instances; one that is called alike has others.
    said("restart", "node10")
    assert targets(settings) == ["node10"]
    assert others()[0][0] == before[0][0]


@pytest.mark.slow
def test_nor_does_the_service(
    others: Callable[[], Any], settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    cam1, before = f"{word}-cam1", others()
    with serve() as service:
        for verb in ("stop", "start", "restart", "kill", "start", "cordon", "simulate", "clear", "apply"):
            assert service.post(verb, cam1)["ok"], verb
            assert targets(settings) == [f"node1/{cam1}"]
        service.post("disable", cam1, reason="dust")
        assert [one["instance"] for one in service.get("/overrides")["overrides"]] == [cam1]
        service.post("enable", "node1")
        assert service.get("/overrides")["overrides"] == []
        asked = service.get("/history", target=[f"{word}-cam10"])["entries"]
        assert {name for one in asked for name in one["targets"]} == {"node1", "node10"}
    assert others() == before
