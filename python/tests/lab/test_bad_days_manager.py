"""The manager is restarted: what operators decided holds, and what they had begun can be finished."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_door import (
    BIN,
    Converge,
    Mended,
    Running,
    assert_all_is_well,
    assert_looked_after,
    bluefleet,
    on,
    pushed_trial,
    shell,
)
from lab_queue import LabQueue

from patience import ends_in

pytestmark = [pytest.mark.lab, pytest.mark.faults, pytest.mark.timeout(600)]

REASON = "dust in the beam pipe"
WALKS = ("random-walk", "random-walk-horiz", "random-walk-vert")


def said(*words: str) -> Any:
    """The JSON object that a verb answers with, once the manager lets us in and can answer."""
    end = ends_in(180)
    while (done := bluefleet(words[0], "--json", *words[1:])).returncode not in {0, 3}:
        assert time.monotonic() < end, done.stdout + done.stderr
        time.sleep(1)
    return json.loads(done.stdout)


def states() -> dict[str, str]:
    """What runs and what does not, by instance."""
    return {one["name"]: one["state"] for node in said("status")["nodes"] for one in node["instances"]}


@pytest.fixture
def as_declared(mended: Mended) -> Iterator[Mended]:
    """What a test decided is taken back, before the laboratory is mended if it has to be."""
    yield mended
    said("clear", "--all")
    said("apply")
    assert_all_is_well()


def test_overrides_and_history_survive_the_manager_and_site_yml(tmp_path: Path, as_declared: Mended) -> None:
    said("stop", "thermo", "--reason", REASON)
    said("disable", "node2/random-walk-vert", "--reason", REASON)
    before = [(one["id"], one["verb"], one["who"], one["result"]) for one in said("history")["entries"]]

    shell("docker", "restart", "--time", "60", "bluefleet-lab-manager", seconds=180)
    assert states()["thermo"] == "exited"
    # The fleet service begins by itself, and knows what is wanted: it would have started it by now.
    on("manager", "until systemctl is-active --quiet bluefleet-fleet.service; do sleep 0.5; done")
    on("node1", "docker kill bluefleet-simple")
    end = ends_in(60)
    while states()["simple"] != "running":
        assert time.monotonic() < end, "the fleet service does not look after the fleet"
        time.sleep(0.5)
    assert states()["thermo"] == "exited"

    as_declared.by(Converge(tmp_path / "stages.json").finish())
    assert_looked_after()
    assert states()["thermo"] == "exited"
    kinds = {
        (one["kind"], one["reason"])
        for node in said("status")["nodes"]
        for instance in node["instances"]
        for one in instance["overrides"]
    }
    assert kinds == {("stopped", REASON), ("disabled", REASON)}
    after = [
        (one["id"], one["verb"], one["who"], one["result"]) for one in said("history", "--limit", "500")["entries"]
    ]
    assert set(before) <= set(after)


def on_trial() -> int:
    """How many of the random walks run from the image that is tried, as their engine says."""
    label = "'{{index .Config.Labels \"trial\"}}'"
    containers = " ".join(f"bluefleet-{name}" for name in WALKS)
    return on("node2", f"docker inspect --format {label} {containers}", check=False).split().count("1")


def test_an_update_that_the_managers_restart_cut_off_is_completed(
    tmp_path: Path, as_declared: Mended, queue: LabQueue
) -> None:
    targets = [f"node2/{name}" for name in WALKS]
    with pushed_trial() as reference:
        update = ["update", *targets, "--image", f"ioc={reference}", "--reason", REASON]
        cut_off = Running([str(BIN / "bluefleet"), *update], tmp_path / "update.json")
        cut_off.wait_for(f"{targets[1]}: recreate")
        shell("docker", "restart", "--time", "60", "bluefleet-lab-manager", seconds=180)
        assert cut_off.finish(60).code != 0
        assert on_trial() < len(WALKS)
        said("history")
        # Until the queue answers nobody knows whether a plan uses them.
        end = ends_in(120)
        while (again := bluefleet(*update)).returncode != 0:
            assert "not known whether a plan runs" in again.stderr, again.stderr
            assert time.monotonic() < end, again.stderr
            time.sleep(1)
        assert on_trial() == len(WALKS)
    entries = said("history", "--verb", "update")["entries"]
    last, *_, first = [one["result"] for one in entries if reference in str(one["options"])]
    assert last == "ok" != first, entries
    queue.open()
    as_declared.whole = True


def test_what_is_killed_by_hand_is_back_and_told(mended: Mended) -> None:
    on("node1", "docker kill bluefleet-simple")
    end = ends_in(60)
    while states()["simple"] != "running":
        assert time.monotonic() < end, "the fleet service does not look after the fleet"
        time.sleep(0.5)
    latest = said("history", "node1/simple", "--verb", "reconcile")["entries"][0]
    assert (latest["who"], latest["result"]) == ("fleet service", "ok")
    assert_all_is_well()
    mended.whole = True
