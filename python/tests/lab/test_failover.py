"""A node dies, its instance is declared on another one, and the dead node comes back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from lab_door import assert_all_is_well, bluefleet, on, shell

from patience import ends_in

pytestmark = [pytest.mark.lab, pytest.mark.minutes, pytest.mark.faults, pytest.mark.timeout(300)]

DEAD, HEIR, MOVED = "node1", "node2", "simple"
# On the other node the port that it has is taken.
FREE_PORT = 5076
FILE = "/etc/bluefleet/fleet.yml"


def declare(text: str) -> None:
    """The manager's site file, whole, with its owner and mode."""
    on("manager", f"cp --archive {FILE} {FILE}.new && cat > {FILE}.new && mv {FILE}.new {FILE}", given=text)


def moved(text: str) -> str:
    """The site with the instance on the other node."""
    site = yaml.safe_load(text)
    nodes = {node["name"]: node for node in site["nodes"]}
    (instance,) = [one for one in nodes[DEAD]["instances"] if one["name"] == MOVED]
    nodes[DEAD]["instances"].remove(instance)
    nodes[HEIR]["instances"].append({**instance, "channel_access_port": FREE_PORT})
    return yaml.safe_dump(site, sort_keys=False)


def instance(node: str) -> dict[str, Any]:
    """What status says of it on a node; nothing when it says nothing of it."""
    nodes = {one["name"]: one for one in json.loads(bluefleet("status", "--json").stdout)["nodes"]}
    return next((one for one in nodes[node]["instances"] if one["name"] == MOVED), {})


def mended() -> set[int]:
    """What the fleet service did with the old one, by its number in history."""
    entries = json.loads(bluefleet("history", "--who", "fleet service", "--json").stdout)["entries"]
    return {one["id"] for one in entries if one["targets"] == [f"{DEAD}/{MOVED}"] and one["result"] == "ok"}


@pytest.fixture
def declared() -> Iterator[str]:
    """The site file; whatever a test did, it is as it was afterwards, and so is the laboratory."""
    text = on("manager", f"cat {FILE}")
    yield text
    shell("docker", "start", f"bluefleet-lab-{DEAD}")
    declare(text)
    end = ends_in(60)
    while (applied := bluefleet("apply")).returncode != 0:
        assert time.monotonic() < end, applied.stdout + applied.stderr
        time.sleep(1)
    assert_all_is_well()


def test_what_a_dead_node_brings_back_is_stopped_and_its_heir_goes_on(declared: str) -> None:
    before = mended()
    shell("docker", "kill", f"bluefleet-lab-{DEAD}")
    declare(moved(declared))
    applied = bluefleet("apply")
    assert applied.returncode == 1, applied.stdout + applied.stderr
    assert f"failed: {DEAD}: " in applied.stderr
    heir = instance(HEIR)
    assert heir["health"] == "healthy"

    shell("docker", "start", f"bluefleet-lab-{DEAD}")
    # A site that is declared anew is left alone for a minute.
    end = ends_in(120)
    while not mended() - before:
        assert time.monotonic() < end, instance(DEAD)
        time.sleep(1)
    left = instance(DEAD)
    assert left["state"] == "exited"
    assert left["drift"] == ["extra"]
    assert f"stopped: it belongs to {HEIR} now" in left["reason"]
    assert instance(HEIR)["container"] == heir["container"]
