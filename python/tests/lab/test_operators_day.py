"""What operators decide on the laboratory that is up: it is kept, shown, honoured by site.yml and by plans, and taken back."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_door import Converge, assert_all_is_well, bluefleet, on
from lab_queue import LabQueue

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

REASON = "dust in the beam pipe"


@pytest.fixture(autouse=True)
def as_declared() -> Iterator[None]:
    """Whatever a test decided is taken back at its end."""
    yield
    said("clear", "--all")
    said("apply")
    assert_all_is_well()


def said(*words: str, code: int = 0) -> Any:
    """The JSON object that a verb answers with."""
    done = bluefleet(words[0], "--json", *words[1:])
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def instance(name: str) -> dict[str, Any]:
    """What status tells of one instance."""
    found = [one for node in said("status", name)["nodes"] for one in node["instances"]]
    assert [one["name"] for one in found] == [name]
    return found[0]


def test_what_was_stopped_stays_so_through_site_yml_until_it_is_started(tmp_path: Path) -> None:
    said("stop", "thermo", "--reason", REASON)
    assert instance("thermo")["state"] == "exited"
    assert REASON in bluefleet("status").stdout
    Converge(tmp_path / "told.json", "--tags", "fleet").finish().well()
    assert instance("thermo")["state"] == "exited"
    said("start", "thermo")
    assert_all_is_well()
    assert instance("thermo")["state"] == "running"
    entries = said("history")["entries"]
    assert {"stop", "start"} <= {entry["verb"] for entry in entries}
    assert REASON in {entry["options"].get("reason") for entry in entries}


def test_a_plan_that_names_a_device_of_a_disabled_instance_is_refused_by_name(queue: LabQueue) -> None:
    said("disable", "node2/random-walk", "--reason", REASON)
    item = {"item_type": "plan", "name": "count", "args": [["random_walk"]]}
    queue.ask("POST", "queue/item/execute", {"item": item})
    queue.wait(lambda status: status["manager_state"] == "idle", "idle")
    last = queue.ask("GET", "history/get")["items"][-1]["result"]
    assert last["exit_status"] == "failed"
    assert "random_walk" in last["msg"]
    assert REASON in last["msg"]

    said("enable", "node2/random-walk")
    said("apply")
    assert_all_is_well()
    queue.ask("POST", "queue/item/execute", {"item": item})
    queue.wait(lambda status: status["manager_state"] == "idle", "idle")
    assert queue.ask("GET", "history/get")["items"][-1]["result"]["exit_status"] == "completed"


def test_logs_and_commands_of_an_instance_come_over_ssh() -> None:
    assert said("exec", "thermo", "printenv", "BLUEFLEET_NODE")["stdout"] == "node2\n"
    assert bluefleet("exec", "thermo", "false").returncode == 1
    lines = said("logs", "cam1", "--all")["lines"]
    assert any("actor on port 19995" in line["text"] for line in lines)


def test_a_name_that_is_nothing_of_the_site_is_told_what_there_is() -> None:
    answer = bluefleet("stop", "termo")
    assert answer.returncode == 2
    assert "thermo" in answer.stderr
    assert "node2/random-walk" in answer.stderr


def test_on_the_manager_a_shell_completes_the_names_of_instances() -> None:
    # As bash does it at Tab: the loader of bash-completion, then the function that it found.
    asked = """
        . /usr/share/bash-completion/bash_completion
        if declare -F _comp_load >/dev/null; then _comp_load bluefleet; else __load_completion bluefleet; fi
        COMP_WORDS=(bluefleet stop node2/th) COMP_CWORD=2
        _bluefleet
        echo "${COMPREPLY[@]}"
    """
    assert on("manager", f"bash -c {shlex.quote(asked)}").split() == ["node2/thermo"]
