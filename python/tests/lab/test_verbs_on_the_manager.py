"""Verbs typed on the manager itself: images, reconnect, and a twin that stands in for a while."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_door import Converge, another_inventory, assert_all_is_well, change, on

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

THERMO = '    command: [thermo_sim, --prefix, "thermo:"]\n'


def typed(*words: str) -> str:
    """What a verb prints there; it must succeed."""
    return on("manager", shlex.join(["bluefleet", *words]))


def thermo() -> dict[str, Any]:
    """What status tells of the thermometer; whether it is well is not asked."""
    status = json.loads(on("manager", "bluefleet status node2/thermo --json", check=False))
    return dict(status["nodes"][0]["instances"][0])


def environment() -> str:
    """Of the thermometer's container, as its engine has it."""
    return on("node2", "docker inspect --format '{{.Config.Env}}' bluefleet-thermo")


def test_images_says_which_image_an_instance_runs_from() -> None:
    (node,) = json.loads(typed("images", "node2", "--json"))["nodes"]
    (image,) = [one for one in node["images"] if "thermo" in one["used_by"]]
    assert (image["image"], image["present"], "thermo" in image["wanted_by"]) == ("ioc", True, True)
    assert image["digest"] == thermo()["digest"]


def test_reconnect_leaves_alone_what_is_as_declared_and_makes_it_anew_when_forced() -> None:
    before = thermo()["container"]
    typed("reconnect", "thermo")
    assert thermo()["container"] == before
    typed("reconnect", "thermo", "--force")
    assert thermo()["container"] not in {"", before}
    assert_all_is_well()


@pytest.fixture
def twin_declared(tmp_path: Path) -> Iterator[None]:
    """The thermometer has a twin as long as a test lasts."""
    inventory = another_inventory(tmp_path)
    change(inventory / "host_vars/node2.yml", THERMO, f"{THERMO}    simulated: {{environment: {{TWIN: 'yes'}}}}\n")
    Converge(tmp_path / "stages.json", "--tags", "fleet", inventory=inventory).finish().well()
    yield
    on("manager", "bluefleet clear node2/thermo; bluefleet apply node2/thermo")
    Converge(tmp_path / "restored.json", "--tags", "fleet").finish().well()


@pytest.mark.usefixtures("twin_declared")
def test_a_twin_stands_in_from_simulate_to_clear() -> None:
    assert "TWIN=yes" not in environment()
    typed("simulate", "node2/thermo", "--reason", "no cryostat today")
    typed("reconnect", "node2/thermo")
    assert "TWIN=yes" in environment()
    assert [(one["kind"], one["reason"]) for one in thermo()["overrides"]] == [("simulated", "no cryostat today")]
    typed("clear", "node2/thermo")
    typed("reconnect", "node2/thermo")
    assert "TWIN=yes" not in environment()
    assert thermo()["overrides"] == []
    assert_all_is_well()
