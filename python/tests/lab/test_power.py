"""A node's power is cut and given back by the laboratory's power unit, for the manager and for nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from lab_door import ADDRESSES, assert_all_is_well, bluefleet, on, shell
from lab_power import TOKEN, ask_unit

pytestmark = [pytest.mark.lab, pytest.mark.faults, pytest.mark.timeout(300)]

NODE, OTHER = "node2", "node1"
UNIT = "bluefleet-lab_power-unit"
ON_THE_MANAGER = "/etc/bluefleet/secrets/fleet/power_unit_token"
INSTANCES = "docker ps --no-trunc --format '{{.ID}} {{.Names}}' | sort"


def container(name: str) -> dict[str, Any]:
    """What this machine's engine knows of a container of the laboratory."""
    return json.loads(shell("docker", "inspect", name).stdout)[0]


def started(host: str) -> str:
    """When a virtual host was switched on."""
    return str(container(f"bluefleet-lab-{host}")["State"]["StartedAt"])


def engine_started(node: str) -> str:
    """When a node's engine was started."""
    return on(node, "systemctl show --property ExecMainStartTimestampMonotonic docker.service").strip()


@pytest.fixture
def switched_on() -> Iterator[None]:
    """Whatever a test did, the node has power afterwards, and all is well."""
    yield
    shell("docker", "unpause", f"bluefleet-lab-{NODE}", check=False)
    shell("docker", "start", f"bluefleet-lab-{NODE}")
    assert_all_is_well()


@pytest.mark.usefixtures("switched_on")
@pytest.mark.parametrize("hangs", [False, True], ids=["that answers", "that hangs"])
def test_a_hard_reboot_of_a_node_starts_it_anew_and_leaves_the_other_alone(hangs: bool) -> None:
    before, engine = started(NODE), engine_started(NODE)
    other, others = started(OTHER), on(OTHER, INSTANCES)
    if hangs:
        shell("docker", "pause", f"bluefleet-lab-{NODE}")

    rebooted = bluefleet("reboot", NODE, "--hard", "--reason", "it hangs", "--deadline", "90")
    assert rebooted.returncode == 0, rebooted.stdout + rebooted.stderr
    assert "is back after" in rebooted.stdout + rebooted.stderr

    assert_all_is_well()
    assert started(NODE) != before
    assert engine_started(NODE) != engine
    assert (started(OTHER), on(OTHER, INSTANCES)) == (other, others)

    entries = json.loads(bluefleet("history", "--json").stdout)["entries"]
    last = next(entry for entry in entries if entry["verb"] == "reboot")
    assert (last["targets"], last["result"], last["options"]["hard"]) == ([NODE], "ok", True)
    assert last["options"]["reason"] == "it hangs"


@pytest.mark.usefixtures("switched_on")
def test_what_is_switched_off_stays_off_and_status_says_so() -> None:
    assert ask_unit("POST", f"/outlets/{NODE}/off") == (200, {"outlet": NODE, "state": "off"})
    assert container(f"bluefleet-lab-{NODE}")["State"]["Status"] == "exited"
    assert ask_unit("GET", "/outlets")[1]["outlets"] == {host: "off" if host == NODE else "on" for host in ADDRESSES}
    found = {node["name"]: node["reachable"] for node in json.loads(bluefleet("status", "--json").stdout)["nodes"]}
    assert found == {NODE: False, OTHER: True}
    assert ask_unit("POST", f"/outlets/{NODE}/on") == (200, {"outlet": NODE, "state": "on"})


def test_without_the_token_it_switches_nothing() -> None:
    before = started(NODE)
    status, content = ask_unit("POST", f"/outlets/{NODE}/off", token="another")
    assert (status, content.keys()) == (401, {"error"})
    # From a host of the laboratory, too.
    asked = f"curl -sS --cacert /etc/bluefleet/pki/site-ca.crt -X POST https://172.30.77.2/outlets/{NODE}/off"
    assert "Authorization: Bearer" in json.loads(on(OTHER, asked))["error"]
    assert started(NODE) == before


@pytest.mark.parametrize("stranger", ["node3", "bluefleet-lab-node2", "bluefleet-lab_power-unit"])
def test_what_is_no_host_of_this_laboratory_has_no_outlet(stranger: str) -> None:
    status, content = ask_unit("POST", f"/outlets/{stranger}/off")
    assert status == 404
    assert content["error"].endswith("is no host of this laboratory; these are: data, manager, node1, node2")


def test_the_token_is_a_file_of_the_fleets_user_and_nowhere_else() -> None:
    token = TOKEN.read_text()
    assert on("manager", f"stat --format '%a %U' {ON_THE_MANAGER}").strip() == "400 bluefleet"
    assert on("manager", f"cat {ON_THE_MANAGER}") == token
    logs = shell("docker", "logs", UNIT)
    processes = shell("docker", "top", UNIT, "-eo", "pid,args")
    for text in (json.dumps(container(UNIT)), logs.stdout, logs.stderr, processes.stdout):
        assert token not in text
