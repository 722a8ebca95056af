"""A series of scans over an absorption edge, on the simulated beamline of `node2`, through the queue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lab_door import bluefleet
from lab_queue import LabQueue
from lab_runs import tiled

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

TEXT = (Path(__file__).parents[1] / "acquisition" / "xafs" / "cufoil.ini").read_text(encoding="utf-8")


def outcome(queue: LabQueue, *arguments: Any) -> dict[str, Any]:
    """Run the plan past the queue and return how it ended."""
    before = len(queue.ask("GET", "history/get")["items"])
    item = {"item_type": "plan", "name": "xafs", "args": list(arguments)}
    queue.ask("POST", "queue/item/execute", {"item": item})
    queue.wait(lambda status: status["items_in_history"] > before and status["manager_state"] == "idle", "done", 500)
    result: dict[str, Any] = queue.ask("GET", "history/get")["items"][-1]["result"]
    return result


@pytest.mark.minutes
def test_the_text_of_the_page_makes_three_runs_that_show_the_edge() -> None:
    queue = LabQueue()
    queue.open()
    result = outcome(queue, TEXT, "energy", "chambers")
    queue.close()
    assert result["exit_status"] == "completed", result["msg"]
    assert len(result["run_uids"]) == 3
    with tiled() as client:
        for number, uid in enumerate(result["run_uids"], 1):
            verified = bluefleet("documents", "verify", uid, "--wait", "30")
            assert verified.returncode == 0, verified.stdout + verified.stderr
            about = client.get(f"metadata/runs/{uid}").raise_for_status().json()["data"]["attributes"]["metadata"]
            assert about["start"]["file"] == f"cufoil.{number:03d}"
            assert about["start"]["xafs"]["experimenters"] == [
                "Betty Cooper", "Veronica Lodge", "Archibald Andrews",
            ]  # fmt: skip
            table = client.get(f"table/full/runs/{uid}/primary/internal?format=json").raise_for_status().json()
            transparency = {
                energy: behind / before
                for energy, behind, before in zip(
                    table["energy"], table["chambers-transmitted"], table["chambers-i0"], strict=True
                )
            }
            assert len(transparency) == 373
            assert transparency[8949.0] > 2 * min(transparency.values())


def test_a_mistake_is_told_by_its_line_and_opens_no_run() -> None:
    queue = LabQueue()
    queue.open()
    result = outcome(queue, TEXT.replace("mode = transmission", "mode = xanes"), "energy", "chambers")
    queue.close()
    assert result["exit_status"] == "failed"
    assert result["run_uids"] == []
    assert "line 16: mode = xanes: choose one of transmission, fluorescence, both, reference" in result["msg"]
