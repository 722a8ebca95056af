"""The first scan on the laboratory that is up: through the front door, and back out of the databases."""

from __future__ import annotations

import re
import stat

import pytest
import yaml
from lab_door import ADDRESSES, LAB, ROOT, bluefleet, on
from lab_queue import LabQueue

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


def test_a_scan_of_the_pinhole_is_read_back_and_shown_with_what_to_do_next() -> None:
    done = bluefleet("first-scan")
    assert done.returncode == 0, done.stderr
    shows_the_run(done.stdout)
    shows_where_all_is(done.stdout)
    steps = re.findall(r"^  (\d)\. \.venv/bin/bluefleet (.+)$", done.stdout.partition("Try next:\n")[2], re.MULTILINE)
    run = re.search(r"documents verify (\w+)", done.stdout)
    assert run is not None
    assert steps == [("1", "status"), ("2", f"documents verify {run[1]}"), ("3", "examples")]
    verified = bluefleet("documents", "verify", run[1], "--wait", "20")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def shows_the_run(text: str) -> None:
    """Assert that table, plot and centre are there, and that a detector of the other node was read at each point."""
    on_node2 = yaml.safe_load((LAB / "host_vars" / "node2.yml").read_text())["node_instances"]
    assert "random_walk" in {device["name"] for instance in on_node2 for device in instance["devices"]}
    assert re.search(r"^┃ +seq_num ┃ +motor_ph ┃ +pinhole ┃ +random_walk ┃$", text, re.MULTILINE), text
    rows = re.findall(r"^│ +(\d+) │ +(-?\d+\.\d+) │ +(\d+) │ +(-?\d+\.\d+) │$", text, re.MULTILINE)
    assert [int(row[0]) for row in rows] == list(range(1, 32))
    # It walks: a value that is never another one was read once, or not at all.
    assert len({row[3] for row in rows}) > 1
    top = max(int(row[2]) for row in rows)
    assert f"pinhole over motor_ph, {top} at the top" in text
    assert len(re.findall(r"^  [ ▁▂▃▄▅▆▇█]*█[ ▁▂▃▄▅▆▇█]*$", text, re.MULTILINE)) == 8
    centre = re.search(r"^centre ([+-]\d+\.\d+), width", text, re.MULTILINE)
    assert centre is not None, text
    assert abs(float(centre[1])) <= 0.5


def shows_where_all_is(text: str) -> None:
    """Assert that both edges are named with the files of their keys, which are private, and that no key is shown."""
    manager, data = (f"https://{ADDRESSES[host]}" for host in ("manager", "data"))
    assert re.search(rf"^Begin +{manager}/ ", text, re.MULTILINE)
    keys = [
        re.search(rf"^{name} +{address}\S*   key in (\S+)$", text, re.MULTILINE)
        for name, address in (("Queue", f"{manager}/api"), ("Runs", f"{data}/tiled"))
    ]
    for key in keys:
        assert key is not None, text
        file = ROOT / key[1]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_text().strip() not in text
    trust = re.search(r"^Trust +(\S+)$", text, re.MULTILINE)
    assert trust is not None, text
    assert "BEGIN CERTIFICATE" in (ROOT / trust[1]).read_text()


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
