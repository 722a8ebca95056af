"""Adaptive scans on the laboratory: through the queue, with the recommender service of the acquisition pod."""

from __future__ import annotations

import time
from typing import Any

import pytest
from lab_door import on
from lab_queue import LabQueue
from lab_runs import positions

from patience import ends_in

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

RECOMMENDER = "acquisition-recommender-1"


def outcome(queue: LabQueue, *arguments: Any, **options: Any) -> dict[str, Any]:
    """Run a campaign past the queue; how it ended."""
    item = {"item_type": "plan", "name": "adaptive", "args": list(arguments), "kwargs": options}
    uid = queue.ask("POST", "queue/item/execute", {"item": item})["item"]["item_uid"]
    end = ends_in(200)
    while True:
        for done in queue.ask("GET", "history/get")["items"]:
            if done["item_uid"] == uid:
                return done["result"]
        assert time.monotonic() < end, f"the campaign has no end: {queue.status()}"
        time.sleep(0.5)


def test_the_demonstration_takes_exactly_17_runs_in_steps_of_one_and_a_half(queue: LabQueue) -> None:
    result = outcome(queue, ["det"], "motor", 0)
    assert (result["exit_status"], result["msg"]) == ("completed", "")
    assert positions(result["run_uids"], "motor") == [1.5 * number for number in range(17)]


def test_the_gaussian_process_finds_the_slit_on_hardware(queue: LabQueue) -> None:
    arguments = {"bounds": {"motor_ph": [-8, 8]}}
    result = outcome(queue, ["pinhole"], "motor_ph", -6, recommender="gaussian-process", arguments=arguments, runs=14)
    assert result["exit_status"] == "completed", result["msg"]
    assert min(abs(at) for at in positions(result["run_uids"], "motor_ph")) < 1.0


def test_a_recommender_that_is_not_there_is_refused_before_the_first_run(queue: LabQueue) -> None:
    result = outcome(queue, ["det"], "motor", 0, recommender="stepp")
    assert result["exit_status"] == "failed"
    assert result["run_uids"] == []
    assert "there are step, gaussian-process" in result["msg"]


@pytest.mark.faults
def test_a_dead_recommender_ends_the_plan_after_its_deadline_and_the_next_campaign_is_answered(queue: LabQueue) -> None:
    on("manager", f"docker stop --time 1 {RECOMMENDER}")
    try:
        result = outcome(queue, ["det"], "motor", 0, deadline=4)
        assert result["exit_status"] == "failed"
        assert len(result["run_uids"]) == 1
        assert "no recommendation after run 0" in result["msg"]
        assert "bluefleet status" in result["msg"]
    finally:
        on("manager", f"docker start {RECOMMENDER}")
    result = outcome(queue, ["det"], "motor", 0, runs=3)
    assert (result["exit_status"], len(result["run_uids"])) == ("completed", 3)


@pytest.mark.faults
def test_a_recommender_that_is_killed_in_the_middle_goes_on(queue: LabQueue) -> None:
    on("manager", f"(sleep 1; docker restart --time 0 {RECOMMENDER}) >/dev/null 2>&1 &")
    result = outcome(queue, ["det"], "motor", 0, runs=60, deadline=60)
    assert (result["exit_status"], len(result["run_uids"])) == ("completed", 60)
