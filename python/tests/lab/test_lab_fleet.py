"""The fleet of the laboratory that is up, asked over SSH as a person would."""

import json
import shlex
import subprocess
import uuid
from collections.abc import Iterator

import pytest

from bluefleet.checkout import find_checkout, find_inventory
from bluefleet.cli.remote import ssh_command
from bluefleet.inventory import Connection, render
from patience import PATIENCE

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

Answer = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def connections() -> dict[str, Connection]:
    """How each host is reached."""
    return render(find_inventory(), find_checkout()).control.connections


def on(connection: Connection, command: str) -> Answer:
    """Run a shell command on a host."""
    return subprocess.run(
        [*ssh_command(connection, ["-"])[:-1], command],
        capture_output=True,
        text=True,
        check=False,
        timeout=120 * PATIENCE,
    )


def test_every_instance_is_healthy_and_as_declared(connections: dict[str, Connection]) -> None:
    answer = on(connections["manager"], "bluefleet status --json")
    found = json.loads(answer.stdout)
    assert answer.returncode == 0, found
    instances = {instance["name"]: instance for node in found["nodes"] for instance in node["instances"]}
    assert len(instances) == 9
    assert {instance["health"] for instance in instances.values()} == {"healthy"}


def test_apply_finds_nothing_to_do(connections: dict[str, Connection]) -> None:
    answer = on(connections["manager"], "bluefleet apply --check --json")
    assert (answer.returncode, json.loads(answer.stdout)["changed"]) == (0, False), answer.stderr


@pytest.fixture
def person(connections: dict[str, Connection]) -> Iterator[str]:
    """Somebody with an account on the manager."""
    name = f"t{uuid.uuid4().hex[:8]}"
    assert on(connections["manager"], f"useradd --no-create-home {name}").returncode == 0
    yield name
    on(connections["manager"], f"userdel {name}")


def test_members_of_the_group_may_use_the_command_and_nobody_else(
    connections: dict[str, Connection], person: str
) -> None:
    manager = connections["manager"]
    call = f"runuser -u {person} -- bluefleet status --json"
    assert on(manager, call).returncode not in {0, 3}
    on(manager, f"usermod --append --groups bluefleet {person}")
    assert on(manager, call).returncode == 0
    key = "/etc/bluefleet/pki/engine-client/key.pem"
    assert "Permission denied" in on(manager, f"runuser -u {person} -- cat {key}").stderr
    assert on(manager, f"runuser -u {person} -- sudo -n -u bluefleet cat {key}").returncode != 0


@pytest.fixture
def hung(connections: dict[str, Connection]) -> Iterator[str]:
    """A node whose engine accepts and never answers."""
    assert on(connections["node2"], "kill -STOP $(cat /run/docker.pid)").returncode == 0
    yield "node2"
    assert on(connections["node2"], "kill -CONT $(cat /run/docker.pid)").returncode == 0


@pytest.mark.faults
def test_a_hung_engine_delays_no_other_node(connections: dict[str, Connection], hung: str) -> None:
    deadline = 2
    # The whole process there; what ssh takes on the way is not the fleet's.
    command = f"TIMEFORMAT=%R; time bluefleet status --json --deadline {deadline}"
    # The quickest of three: whoever waits for what hangs is late each time, whoever shares a busy machine is not.
    answers = [on(connections["manager"], shlex.join(["bash", "-c", command])) for _ in range(3)]
    answer = answers[0]
    took = min(float(each.stderr.split()[-1]) for each in answers)
    found = {node["name"]: node for node in json.loads(answer.stdout)["nodes"]}
    assert answer.returncode == 1
    assert not found[hung]["reachable"]
    assert "no answer" in found[hung]["reason"]
    assert all(instance["health"] == "healthy" for instance in found["node1"]["instances"])
    assert took < deadline + 1
