"""A device more, or one fewer: the queue knows it at once, and no container is restarted for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_door import ADDRESSES, Converge, another_inventory, bluefleet, on
from lab_queue import LabQueue

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

DEVICE = "one_more"
ENTRY = f'      - {{name: {DEVICE}, class: bluefleet.devices.ReadOnlySignal, prefix: "simple:B"}}\n'
# The figure is 30 s on two idle cores (make bench); what takes longer than this waits for something.
LIMIT = 60.0
# What a terminal loads its devices from.
DECLARED = "cat /etc/bluefleet/desktop/people/*/fleet.yml"


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[LabQueue]:
    """The queue with an open environment; the device is in it no longer than a test lasts."""
    found = LabQueue()
    found.open()
    yield found
    if DEVICE in found.devices():
        Converge(tmp_path / "restored.json", "--tags", "fleet").finish().well()
    found.close()


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """The laboratory, with one device more on an instance that runs."""
    copy = another_inventory(tmp_path)
    with (copy / "host_vars/node1.yml").open("a", encoding="utf-8") as file:
        file.write(ENTRY)
    return copy


def containers() -> str:
    """Every container of the laboratory's engines, and when it was started."""
    command = "docker inspect --format '{{.Id}} {{.State.StartedAt}} {{.RestartCount}}' $(docker ps --all --quiet)"
    return "".join(on(host, command) for host in ADDRESSES)


def test_a_device_joins_the_queue_quickly_and_leaves_it_and_no_container_restarts(
    tmp_path: Path, queue: LabQueue, inventory: Path
) -> None:
    before = containers()
    assert DEVICE not in queue.devices()

    begin = time.monotonic()
    added = Converge(tmp_path / "stages.json", "--tags", "fleet", inventory=inventory).finish().well()
    assert DEVICE in queue.devices()
    took = time.monotonic() - begin
    assert added.changed() == {"manager": 2, "data": 1}, "the site file, and what apply did; people's terminals"
    assert DEVICE in on("data", DECLARED)
    assert DEVICE in bluefleet("devices", "list").stdout

    removed = Converge(tmp_path / "stages.json", "--tags", "fleet").finish().well()
    assert DEVICE not in queue.devices()
    assert removed.changed() == {"manager": 2, "data": 1}
    assert containers() == before
    assert took < LIMIT
