"""Example data on the laboratory that is up: in one command, and back out of Tiled."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest
from lab_door import BIN, ROOT, bluefleet
from lab_queue import LabQueue

from patience import PATIENCE

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


def test_varied_runs_are_made_and_the_environment_is_left_open() -> None:
    queue = LabQueue()
    queue.open()
    done = bluefleet("examples", "--json")
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout)["runs"]
    assert [run["plan"] for run in runs] == [
        "count", "scan", "rel_scan", "grid_scan", "adaptive_scan", "xafs",
    ]  # fmt: skip
    assert len({run["scan_id"] for run in runs}) == len(runs)
    assert queue.status()["worker_environment_exists"]
    queue.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whatever_ends_it_nothing_of_its_own_is_left_behind(number: signal.Signals) -> None:
    queue = LabQueue()
    queue.open()
    command = [str(BIN / "bluefleet"), "examples"]
    asked = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    queue.wait(lambda status: status["running_item_uid"] is not None and status["items_in_queue"] > 2, "running", 120)
    asked.send_signal(number)
    _, said = asked.communicate(timeout=90 * PATIENCE)
    assert asked.returncode == 1
    assert "its plans are out of the queue" in said
    queue.wait(lambda status: status["manager_state"] == "idle", "idle")
    assert queue.ask("GET", "queue/get")["items"] == []
    queue.close()


def test_a_queue_in_use_is_left_alone() -> None:
    queue = LabQueue()
    queue.open()
    queue.start("count", ["det1"], num=30, delay=1)
    try:
        refused = bluefleet("examples")
        assert refused.returncode == 1
        assert "the queue runs count" in refused.stderr
        assert queue.status()["re_state"] == "running"
    finally:
        queue.stop()
        queue.close()
