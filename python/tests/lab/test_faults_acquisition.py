"""What befalls plans and the queue: a full spool, an IOC that dies, a worker that is restarted, a Redis that is killed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from lab_documents import (
    all_flows,
    assert_each_event_is_there_once_and_in_order,
    events,
    healthy,
    held,
    until,
    verified,
)
from lab_door import Converge, Mended, bluefleet, on
from lab_queue import LabQueue
from lab_runs import tiled
from test_faults_documents import kill

pytestmark = [pytest.mark.lab, pytest.mark.faults, pytest.mark.timeout(600)]

#: Room for the write-ahead log of SQLite, which is counted and takes up to 4 MB, and some for documents.
SPOOL_LIMIT = 6_000_000
#: Below it a plan that waits for room goes on.
ROOM_AT = 0.8
MANY = ["det1", "det2", "noisy_det", "motor", "motor1", "motor2"]
BACK_WITHIN = 30


def console(queue: LabQueue) -> str:
    """The last lines that the worker wrote."""
    return str(queue.ask("GET", "console_output", {"nlines": 200})["text"])


def add(queue: LabQueue, plan: str, *arguments: object, **options: object) -> str:
    """Put a plan at the end of the queue; its uid."""
    item = {"item_type": "plan", "name": plan, "args": list(arguments), "kwargs": options}
    return str(queue.ask("POST", "queue/item/add", {"item": item})["item"]["item_uid"])


def history(queue: LabQueue) -> list[dict[str, object]]:
    items: list[dict[str, object]] = queue.ask("GET", "history/get")["items"]
    return items


def worker_spool() -> dict[str, Any]:
    """What the forwarder says about the spool of the worker."""
    return held("manager", "documents/status")["writers"]["worker"]


def test_a_full_spool_pauses_the_plan_and_room_resumes_it(tmp_path: Path, queue: LabQueue, mended: Mended) -> None:
    small = ("--tags", "pods", "-e", f"acquisition_spool_limit_bytes={SPOOL_LIMIT}")
    Converge(tmp_path / "small.json", *small).finish().well()
    # What is delivered stays as long as there is room, and that has become less than what is there.
    until(lambda: worker_spool()["bytes"] < ROOM_AT * SPOOL_LIMIT, "room in the spool", 180, 1)
    queue.open()
    on("manager", "docker stop --time 1 acquisition-kafka-1")
    try:
        run = queue.start("count", MANY, num=100_000)
        until(
            lambda: "the spool is nearly full" in console(queue), "the plan is paused, and the console says why", 240, 2
        )
        paused_at = events(run)
        time.sleep(3)
        assert events(run) == paused_at
        assert queue.status()["manager_state"] == "executing_queue"
        backlog = bluefleet("documents", "backlog")
        assert backlog.returncode == 1
        assert "Kafka at" in backlog.stdout
    finally:
        on("manager", "docker start acquisition-kafka-1")
    # Nobody does anything: the backlog goes to Kafka, the oldest documents leave the spool, the plan goes on.
    until(lambda: worker_spool()["backlog"] < 1000, "delivered", 180, 1)
    until(lambda: events(run, "data", "sinks/mongo/runs") > paused_at + 100, "the plan goes on", 120, 1)
    queue.stop()
    # Its beginning may have left the spool: Kafka is what the databases are measured by then.
    verdict = verified(run)
    count = verdict["places"]["kafka"]["streams"]["primary"]["events"]
    assert count > paused_at
    for place in ("mongo", "tiled"):
        stream = verdict["places"][place]["streams"]["primary"]
        assert (stream["events"], stream["seq_nums"], stream["doubled"]) == (count, f"1-{count}", [])
    mended.by(Converge(tmp_path / "restored.json", "--tags", "pods").finish())
    queue.open()


def test_an_ioc_that_dies_ends_the_run_by_name_and_the_queue_waits_for_a_decision(queue: LabQueue) -> None:
    waiting = queue.ask("GET", "queue/get")["items"]
    assert waiting == [], "somebody's plans wait in the queue"
    failing = add(queue, "count", ["random_walk"], num=1000, delay=0.05)
    following = add(queue, "count", ["det1"], num=2)
    queue.ask("POST", "queue/start")
    try:
        run = until(lambda: queue.ask("GET", "re/runs/active")["run_list"], "a run")[-1]["uid"]
        until(lambda: events(run) > 20, "events of the device")
        # Killed, and not to be restarted until somebody says so.
        killed = bluefleet("kill", "node2/random-walk", "--interrupt-runs", "--reason", "a fault test")
        assert killed.returncode == 0, killed.stderr
        queue.wait(lambda status: status["manager_state"] == "idle", "idle", 120)
        result = next(item["result"] for item in history(queue) if item["item_uid"] == failing)
        assert result["exit_status"] == "failed"
        assert "random_walk" in result["msg"]
        verdict = verified(run)
        assert verdict["exit_status"] == "fail"
        assert "random_walk" in verdict["places"]["tiled"]["reason"]
        assert_each_event_is_there_once_and_in_order(run)
        # The plan is back at the head, what follows waits behind it, and status says so.
        items = queue.ask("GET", "queue/get")["items"]
        assert [item["name"] for item in items] == ["count", "count"]
        assert items[1]["item_uid"] == following
        failed = json.loads(bluefleet("status", "--json").stdout)["queue"]["failed"]
        assert (failed["name"], failed["exit_status"]) == ("count", "failed")

        assert bluefleet("start", "node2/random-walk").returncode == 0
        state = "docker inspect --format '{{.State.Health.Status}}' bluefleet-random-walk"
        until(lambda: on("node2", state).strip() == "healthy", "the IOC's container is back")
        queue.ask("POST", "queue/item/remove", {"uid": items[0]["item_uid"]})
        shorter = {"item_type": "plan", "name": "count", "args": [["random_walk"]], "kwargs": {"num": 3}}
        queue.ask("POST", "queue/item/add", {"item": shorter, "pos": "front"})
        end = time.monotonic() + BACK_WITHIN
        while True:
            queue.ask("POST", "queue/start")
            queue.wait(lambda s: s["manager_state"] == "idle" and s["running_item_uid"] is None, "idle")
            if not queue.ask("GET", "queue/get")["items"]:
                break
            assert time.monotonic() < end, f"the device is not back within {BACK_WITHIN} s: {history(queue)[-1]}"
        assert [item["result"]["exit_status"] for item in history(queue)[-2:]] == ["completed", "completed"]
    finally:
        bluefleet("start", "node2/random-walk")
        queue.stop()
        queue.ask("POST", "queue/clear")


def test_a_worker_that_is_restarted_keeps_queue_history_and_runs(queue: LabQueue) -> None:
    done = add(queue, "count", ["det1"], num=2)
    interrupted = add(queue, "count", ["det1"], num=1000, delay=0.05)
    waiting = [add(queue, "count", ["det1"], num=2) for _ in range(2)]
    queue.ask("POST", "queue/start")
    try:
        queue.wait(lambda status: status["running_item_uid"] == interrupted, "in the middle")
        run = until(lambda: queue.ask("GET", "re/runs/active")["run_list"], "a run")[-1]["uid"]
        until(lambda: events(run) > 20, "events")
        before = [item["item_uid"] for item in history(queue)]
        kill("manager", "acquisition-re-manager-1")
        until(lambda: queue.status()["manager_state"] == "idle", "the queue answers again")
        assert [item["item_uid"] for item in queue.ask("GET", "queue/get")["items"]] == waiting
        after = {str(item["item_uid"]): item["result"] for item in history(queue)}
        assert set(before) | {done, interrupted} <= after.keys()
        assert after[interrupted]["exit_status"] == "unknown"
        assert "restart of the RE Manager" in after[interrupted]["msg"]
        # The forwarder says it of the run, too.
        until(lambda: held("manager", f"documents/runs/{run}")["stop"], "the interrupted run is closed")
        assert verified(run)["exit_status"] == "fail"
        with tiled() as client:
            assert client.get(f"metadata/runs/{run}").is_success
        # And it goes on.
        queue.open()
        queue.ask("POST", "queue/start")
        until(lambda: not queue.ask("GET", "queue/get")["items"], "what waited is done")
        queue.wait(lambda s: s["manager_state"] == "idle" and s["running_item_uid"] is None, "idle")
        ended = {str(item["item_uid"]): item["result"]["exit_status"] for item in history(queue)}
        assert [ended[uid] for uid in waiting] == ["completed", "completed"]
    finally:
        queue.wait(lambda status: status["manager_state"] in {"idle", "executing_queue", "paused"}, "answering")
        queue.stop()
        queue.ask("POST", "queue/clear")
        queue.open()


def test_a_redis_that_is_killed_forgets_no_plan_and_no_scan_number(queue: LabQueue) -> None:
    def measured() -> int:
        run = queue.start("count", ["det1"], num=3, delay=0.5)
        queue.wait(lambda status: status["manager_state"] == "idle", "idle")
        return int(verified(run)["scan_id"])

    number = measured()
    before = [item["item_uid"] for item in history(queue)]
    waiting = add(queue, "count", ["det1"], num=2)
    try:
        kill("manager", "acquisition-redis-1")
        until(lambda: healthy("manager"), "Redis is back")
        assert measured() == number + 1
        assert [item["item_uid"] for item in history(queue)][: len(before)] == before
        assert [item["item_uid"] for item in queue.ask("GET", "queue/get")["items"]] == [waiting]
    finally:
        queue.ask("POST", "queue/clear")
    until(all_flows, "documents flow")
