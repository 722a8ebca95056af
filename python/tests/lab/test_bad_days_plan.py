"""A converge while a plan runs: what the plan needs is left alone, or interrupted when that is asked for by name."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_door import Converge, another_inventory, bluefleet, change, on
from lab_queue import LabQueue

pytestmark = [pytest.mark.lab, pytest.mark.faults, pytest.mark.timeout(500)]

KAFKA_DIFFERS = ("-e", "acquisition_kafka_memory=500m")
MINI_BEAMLINE = '    command: [mini_beamline, --prefix, "mini:"]\n'
NEW_DEVICE = "bad_day"


@pytest.fixture
def run(queue: LabQueue, tmp_path: Path) -> Iterator[str]:
    """The uid of a run that goes on for as long as a test lasts, on the mini-beamline of node1."""
    uid = queue.start("count", ["pinhole"], num=2000, delay=0.3)
    yield uid
    queue.stop()
    # What a test declared otherwise is again as the inventory says.
    Converge(tmp_path / "restored.json", "--tags", "pods,fleet").finish().well()
    queue.wait(lambda status: status["manager_state"] == "idle", "idle")


def kafka() -> str:
    """Id of the container that runs Kafka."""
    return on("manager", "docker inspect --format '{{.Id}} {{.State.StartedAt}}' acquisition-kafka-1")


def mini_beamline() -> str:
    """Id of the container that runs the mini-beamline."""
    return on("node1", "docker inspect --format '{{.Id}} {{.State.StartedAt}}' bluefleet-mini-beamline")


@pytest.fixture
def changed_inventory(tmp_path: Path) -> Path:
    """The laboratory, with an instance that must be made anew for it, and a device more on another one."""
    inventory = another_inventory(tmp_path)
    node1 = inventory / "host_vars/node1.yml"
    change(node1, MINI_BEAMLINE, f"{MINI_BEAMLINE}    environment: {{BAD_DAY: 'yes'}}\n")
    with node1.open("a", encoding="utf-8") as file:
        file.write(f'      - {{name: {NEW_DEVICE}, class: bluefleet.devices.ReadOnlySignal, prefix: "simple:B"}}\n')
    return inventory


def test_what_a_running_plan_needs_is_not_restarted_unless_that_is_allowed(
    tmp_path: Path, queue: LabQueue, run: str, changed_inventory: Path
) -> None:
    told, before = tmp_path / "stages.json", (kafka(), mini_beamline())

    rebooted = bluefleet("reboot", "node1", "--reason", "a new kernel")
    assert rebooted.returncode == 1, rebooted.stdout + rebooted.stderr
    assert f"refused: run {run} (count) uses it" in rebooted.stderr

    pods = Converge(told, "--tags", "pods", *KAFKA_DIFFERS).finish()
    assert pods.code != 0
    assert "kafka would be restarted while the queue runs plan count" in pods.text, pods.text[-3000:]
    assert run in pods.text
    assert "interrupt_runs=true" in pods.text

    fleet = Converge(told, "--tags", "fleet", inventory=changed_inventory).finish()
    assert fleet.code != 0
    assert "refused: node1/mini-beamline: recreate" in fleet.text, fleet.text[-3000:]
    assert run in fleet.text
    assert "interrupt_runs=true" in fleet.text
    assert (kafka(), mini_beamline()) == before
    assert queue.status()["manager_state"] == "executing_queue"
    # The new device disturbs no plan, and waits for this one's end.
    assert NEW_DEVICE not in queue.devices()
    assert NEW_DEVICE in bluefleet("status").stdout + bluefleet("devices", "list").stdout

    allowed = ("--tags", "pods,fleet", "-e", "interrupt_runs=true")
    Converge(told, *allowed, *KAFKA_DIFFERS, inventory=changed_inventory).finish().well()
    assert kafka() != before[0]
    assert mini_beamline() != before[1]

    queue.stop()
    end = time.monotonic() + 30
    while NEW_DEVICE not in queue.devices():
        assert time.monotonic() < end, (
            f"{NEW_DEVICE} did not join the idle worker: {bluefleet('devices', 'list').stdout}"
        )
        time.sleep(0.5)
    # Kafka went away and came back, and the run is whole everywhere.
    verified = bluefleet("documents", "verify", run, "--wait", "90")
    assert verified.returncode == 0, verified.stderr
