"""The first scan on the laboratory that is up: through the front door, and back out of the databases."""

from __future__ import annotations

import re

import pytest
from lab_door import bluefleet, on
from lab_queue import LabQueue

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


def test_a_scan_of_the_pinhole_is_read_back_with_its_centre_at_zero() -> None:
    done = bluefleet("first-scan")
    assert done.returncode == 0, done.stderr
    centre = re.search(r"centre ([+-]\d+\.\d+)", done.stdout)
    assert centre is not None, done.stdout
    assert abs(float(centre[1])) <= 0.5
    assert len(re.findall(r"^│ +\d+ │", done.stdout, re.MULTILINE)) == 31
    assert "Try next" in done.stdout
    run = re.search(r"documents verify (\w+)", done.stdout)
    assert run is not None
    verified = bluefleet("documents", "verify", run[1], "--wait", "20")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_scan_numbers_go_on_when_the_environment_is_opened_anew() -> None:
    queue = LabQueue()
    try:
        queue.open()
        before = scan_id(queue)
        queue.ask("POST", "environment/close")
        queue.wait(lambda s: not s["worker_environment_exists"] and s["manager_state"] == "idle", "closed")
        queue.open()
        assert scan_id(queue) == before + 1
    finally:
        queue.close()


def scan_id(queue: LabQueue) -> int:
    """The number of a run that is made for this."""
    queue.start("count", ["det1"], num=3, delay=0.5)
    queue.wait(lambda status: status["manager_state"] == "idle", "idle")
    said = bluefleet("documents", "verify", "-1", "--wait", "20")
    number = re.search(r"\(scan (\d+), success\)", said.stdout + said.stderr)
    assert number is not None, said
    return int(number[1])


@pytest.mark.faults
def test_a_dead_ioc_refuses_the_plans_that_need_it_by_name_and_joins_when_it_is_back() -> None:
    queue = LabQueue()
    queue.open()
    # The fleet service would have it back before anybody asked; what is cordoned it leaves alone.
    assert bluefleet("cordon", "node2/random-walk", "--reason", "it is to be dead for a while").returncode == 0
    try:
        on("node2", "docker stop --time 1 bluefleet-random-walk")
        # The environment opens without it.
        queue.ask("POST", "environment/close")
        queue.wait(lambda s: not s["worker_environment_exists"] and s["manager_state"] == "idle", "closed")
        queue.open()
        assert "random_walk" in queue.devices()
        refused = outcome(queue, "count", ["pinhole", "random_walk"])
        assert refused["exit_status"] == "failed"
        assert "device random_walk is not available: no answer from random_walk:x" in refused["msg"]
        assert refused["run_uids"] == []
        assert outcome(queue, "count", ["pinhole"])["exit_status"] == "completed"
    finally:
        on("node2", "docker start bluefleet-random-walk")
        cleared = bluefleet("clear", "node2/random-walk")
        assert cleared.returncode == 0, cleared.stderr
    try:
        on(
            "node2",
            "until docker ps --filter name=random-walk$ --format '{{.Status}}' | grep -q healthy; do sleep 0.3; done",
        )
        assert outcome(queue, "count", ["pinhole", "random_walk"])["exit_status"] == "completed"
    finally:
        queue.close()


def outcome(queue: LabQueue, plan: str, *arguments: object) -> dict[str, object]:
    """Run a plan past the queue and return how it ended."""
    item = {"item_type": "plan", "name": plan, "args": list(arguments)}
    uid = queue.ask("POST", "queue/item/execute", {"item": item})["item"]["item_uid"]
    queue.wait(lambda s: s["manager_state"] == "idle" and s["running_item_uid"] is None, "idle")
    ended = {item["item_uid"]: item["result"] for item in queue.ask("GET", "history/get")["items"]}
    result: dict[str, object] = ended[uid]
    return result
