"""A device more, or one fewer: the queue knows it at once, and no container is restarted for it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from lab_door import Converge, another_inventory, bluefleet, on
from lab_queue import LabQueue

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

DEVICE = "one_more"
ENTRY = f'      - {{name: {DEVICE}, class: bluefleet.devices.ReadOnlySignal, prefix: "simple:B"}}\n'
# From the entry in the inventory to the queue's allowed devices, on two cores.
LIMIT = 30.0


def containers() -> str:
    """Every container of the laboratory's engines, and when it was started."""
    command = "docker inspect --format '{{.Id}} {{.State.StartedAt}} {{.RestartCount}}' $(docker ps --all --quiet)"
    return "".join(on(host, command) for host in ("manager", "data", "node1", "node2"))


def test_a_device_joins_the_queue_quickly_and_leaves_it_and_no_container_restarts(tmp_path: Path) -> None:
    inventory = another_inventory(tmp_path)
    with (inventory / "host_vars/node1.yml").open("a", encoding="utf-8") as file:
        file.write(ENTRY)
    queue = LabQueue()
    queue.open()
    before = containers()
    assert DEVICE not in queue.devices()

    begin = time.monotonic()
    added = Converge(tmp_path / "stages.json", "--tags", "fleet", inventory=inventory).finish().well()
    assert DEVICE in queue.devices()
    took = time.monotonic() - begin
    assert added.changed() == {"manager": 2}, "the site file, and what apply did"
    assert DEVICE in bluefleet("devices", "list").stdout
    assert took < LIMIT

    removed = Converge(tmp_path / "stages.json", "--tags", "fleet").finish().well()
    assert DEVICE not in queue.devices()
    assert removed.changed() == {"manager": 2}
    assert containers() == before
    queue.close()
