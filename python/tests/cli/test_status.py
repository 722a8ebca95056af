"""What `bluefleet status` shows: a verdict that agrees with the exit code, a plan that failed, and a table that fits."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner, Result

from bluefleet.cli.main import build
from bluefleet.fleet import (
    Beside,
    DevicesStatus,
    Disk,
    DocumentService,
    FailedPlan,
    InstanceStatus,
    NodeStatus,
    Override,
    Overrides,
    QueueStatus,
    Settings,
    StatusReport,
    select,
    status,
    status_of,
)
from bluefleet.fleet._queue_status import queue_status
from bluefleet.model import Site
from queue_stand_in import QueueStandIn, in_the_queues_place

SITE = """
schema_version: 1
site: hill
hosts: {manager: {address: 10.0.0.10, groups: [manager]}}
registry: null
images: {}
nodes: []
"""
WHY = "mini:ph:mtr.VAL did not connect within 3 s; mini:ph:mtr.RBV did not connect within 3 s"
FAILED = FailedPlan(
    name="scan",
    exit_status="failed",
    ended=datetime(2026, 11, 20, 12, 3, 11, tzinfo=UTC),
    runs=["3ab6d93f-5a4e-4a6e-9a3c-0d8f7cf0b5a1"],
    reason="FailedStatus: motor_ph did not arrive",
)


def instance(name: str, **changes: Any) -> InstanceStatus:
    usual: dict[str, Any] = {
        "name": name, "state": "running", "health": "healthy", "uptime_seconds": 266_000.0, "restarts": 0,
        "exit_code": None, "digest": "sha256:" + "a" * 64, "drift": [], "reason": "", "devices": 4,
    }  # fmt: skip
    return InstanceStatus(**(usual | changes))


def node(name: str, *instances: InstanceStatus, **changes: Any) -> NodeStatus:
    usual: dict[str, Any] = {
        "name": name, "address": "172.30.77.21", "transport": "tls", "reachable": True, "reason": "", "remedy": "",
        "engine_version": "26.1.5+dfsg1", "instances": list(instances),
    }  # fmt: skip
    return NodeStatus(**(usual | changes))


def report(*nodes: NodeStatus, **changes: Any) -> StatusReport:
    usual: dict[str, Any] = {
        "site": "hill",
        "ok": True,
        "nodes": list(nodes),
        "devices": DevicesStatus(state="loaded", detail="", declared=1, pending=[]),
        "documents": [DocumentService(name="forwarder", waiting=0, reason="")],
    }
    made = StatusReport(**(usual | changes))
    return made.model_copy(update={"ok": not made.not_well})


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `bluefleet status` where the fleet is as a report says, on a terminal of some columns."""
    monkeypatch.setenv("BLUEFLEET_ETC", str(tmp_path))
    monkeypatch.delenv("BLUEFLEET_INVENTORY", raising=False)
    (tmp_path / "fleet.yml").write_text(SITE)

    def run(found: StatusReport, width: int = 1000) -> Result:
        async def ask(*_: object, **__: object) -> StatusReport:
            return found

        monkeypatch.setattr("bluefleet.fleet.status", ask)
        monkeypatch.setattr("bluefleet.cli.status.console", lambda: Console(highlight=False, width=width))
        return CliRunner().invoke(build(["status"]), ["status"])

    return run


@pytest.mark.parametrize(
    ("found", "names"),
    [
        (report(node("node1", instance("ioc"))), ""),
        (report(node("node1"), devices=DevicesStatus(state="pending", detail="x", declared=1, pending=["a"])), ""),
        (report(node("node1"), queue=QueueStatus(state="idle", waiting=1, running="", failed=FAILED)), ""),
        (
            report(
                node("node1"),
                devices=DevicesStatus(state="loaded", detail="", declared=1, pending=[], unreachable={"motor": WHY}),
            ),
            "device motor",
        ),
        (report(devices=DevicesStatus(state="unknown", detail="x", declared=1, pending=[])), "queue"),
        (report(documents=[DocumentService(name="mongo-sink", waiting=None, reason="x")]), "mongo-sink"),
        (report(node("node1", reachable=False, reason="x")), "node1"),
        (report(node("node1", problems=["its clock"])), "node1"),
        (report(node("node1", instance("a", reason="x"), instance("b"))), "node1/a"),
    ],
    ids=["well", "pending", "plan failed", "device", "queue", "sink", "node away", "clock", "instance"],
)
def test_the_last_line_and_the_exit_code_agree_and_name_what_is_not_well(
    say: Any, found: StatusReport, names: str
) -> None:
    done = say(found)
    last = done.stdout.splitlines()[-1]
    assert done.exit_code == (1 if names else 0)
    assert last.endswith(f"not well: {names}" if names else ", all well")


def test_the_last_line_counts_what_operators_changed_for_a_while(say: Any) -> None:
    stopped = [Override(node="node1", instance=name, kind="stopped", who="ada") for name in ("a", "b")]
    disabled = Override(node="node2", kind="disabled", who="ada")
    of_one = report(node("node1", instance("a", state="exited", overrides=stopped[:1])), node("node2"))
    assert say(of_one).stdout.endswith("2 nodes, all well; 1 instance stopped by an override\n")
    more = report(
        node("node1", instance("a", overrides=stopped[:1]), instance("b", overrides=stopped[1:])),
        # What is on a node has the node's, too.
        node("node2", instance("c", overrides=[disabled]), overrides=[disabled]),
    )
    assert say(more).stdout.endswith("2 nodes, all well; 2 instances stopped, 1 node disabled by overrides\n")


def test_a_plan_that_failed_is_shown_and_is_no_trouble_of_the_fleet(say: Any) -> None:
    done = say(report(queue=QueueStatus(state="idle", waiting=2, running="", failed=FAILED)))
    assert done.exit_code == 0
    assert "queue: idle, 2 plans waiting" in done.stdout
    assert "scan failed at 2026-11-20 12:03:11 UTC, run 3ab6d93f: FailedStatus: motor_ph did not arrive" in done.stdout
    assert "the queue stopped; the plan waits in it again" in done.stdout


@pytest.mark.parametrize(("state", "words"), [("executing_queue", "scan runs"), ("paused", "scan is paused")])
def test_what_the_queue_does_is_a_line(say: Any, state: str, words: str) -> None:
    queue = QueueStatus(state=state, waiting=1, running="scan", failed=None)
    assert f"queue: {words}, 1 plan waiting\n" in say(report(queue=queue)).stdout


def test_a_queue_whose_worker_died_is_not_well(say: Any) -> None:
    done = say(
        report(queue=QueueStatus(state="executing_queue", waiting=1, running="scan", failed=None, reason="gone"))
    )
    assert done.exit_code == 1
    assert "  queue: gone\n" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("not well: queue")


def test_an_instance_that_was_rolled_back_shows_its_image_as_images_does(say: Any) -> None:
    back = Override(node="node1", instance="ioc", kind="rolled-back", value="f" * 64, who="ada")
    (row,) = [
        line
        for line in say(report(node("node1", instance("ioc", overrides=[back])))).stdout.splitlines()
        if "ioc" in line
    ]
    assert "rolled-back by ada since" in row
    assert row.split()[4] == "a" * 12


@pytest.mark.parametrize("width", [80, 100])
def test_the_table_fits_a_terminal(say: Any, width: int) -> None:
    found = report(
        node("node2", reachable=False, reason="connect to 172.30.77.22:2376: no answer within 5 s", remedy="Is it on?"),
        node(
            "node1",
            instance("random-walk-horiz", state="exited", health="", uptime_seconds=None, reason="it ended with 137"),
            instance("mini-beamline", restarts=3, devices_silent=["motor"]),
            instance("simple", health="starting"),
        ),
        devices=DevicesStatus(state="loaded", detail="", declared=15, pending=[], unreachable={"motor": WHY}),
    )
    lines = say(found, width).stdout.splitlines()
    assert max(map(len, lines)) <= width
    image = width >= 100
    assert lines[0].split() == ["state", "up", *(["image"] if image else []), "remarks"]
    (row,) = [line for line in lines if "mini-beamline" in line]
    assert row.split()[:4] == ["mini-beamline", "healthy", "3", "d"]
    assert row.split()[4] == ("a" * 12 if image else "1")
    assert "1 of 4 devices does not answer" in row


def test_a_nodes_line_has_its_disk_its_clock_and_its_engines_version(say: Any) -> None:
    def remarks(**changes: Any) -> str:
        (row,) = [line for line in say(report(node("node1", **changes))).stdout.splitlines() if "node1 " in line]
        return row.partition("answers")[2].strip()

    def measured(ago: float) -> Disk:
        return Disk(free=59 * 10**9, total=100 * 10**9, seen=datetime.now(UTC) - timedelta(seconds=ago))

    engine = "engine 26.1.5+dfsg1"
    assert remarks(clock_skew_seconds=0.0) == f"disk not measured (--disk); clock right; {engine}"
    assert remarks(disk=measured(1), clock_skew_seconds=0.6) == f"59 GB free; clock 0.6 s ahead; {engine}"
    old = remarks(disk=measured(3 * 3600), clock_skew_seconds=-1.2)
    assert old == f"59 GB free 3 h ago; clock 1.2 s behind; {engine}"


def test_devices_of_what_was_not_chosen_are_not_told() -> None:
    def declared(number: int) -> dict[str, Any]:
        device = {"name": f"motor{number}", "class": "bluefleet.devices.Axis", "prefix": f"m{number}:"}
        instances = [{"name": f"ioc{number}", "image": "ioc", "devices": [device]}]
        return {"name": f"node{number}", "address": f"10.0.0.{number}", "instances": instances}

    images = {"ioc": {"reference": "ioc"}}
    site = Site.model_validate({**yaml.safe_load(SITE), "images": images, "nodes": [declared(1), declared(2)]})
    beside = Beside(DevicesStatus(state="loaded", detail="", declared=2, pending=[], unreachable={"motor1": WHY}))
    nodes = {name: node(name, instance(name.replace("node", "ioc"))) for name in ("node1", "node2")}
    for target, not_well in (("node1", ["device motor1"]), ("node2", []), ("node1/ioc1", ["device motor1"])):
        found = status_of(site, Overrides(), [nodes[target[:5]]], beside, chosen=select(site, [target]))
        assert (found.not_well, found.ok) == (not_well, not not_well)
    assert status_of(site, Overrides(), [*nodes.values()], beside).not_well == ["device motor1"]


@pytest.fixture
def queue(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[QueueStandIn]:
    """A queue that answers over TLS."""
    with in_the_queues_place(settings, tmp_path, monkeypatch) as found:
        yield found


def test_the_queue_tells_of_a_plan_that_it_put_back(settings: Settings, queue: QueueStandIn) -> None:
    site = Site.model_validate(
        {"schema_version": 1, "site": "hill", "hosts": {}, "registry": None, "images": {}, "nodes": []}
    )

    def asked() -> QueueStatus:
        found = queue_status(site, settings, deadline=5)
        assert found is not None
        return found

    assert asked() == QueueStatus(state="idle", waiting=0, running="", failed=None)
    # As the queue gives it: the item with the result of its last try, under a new uid.
    result = {
        "exit_status": "failed", "run_uids": FAILED.runs, "scan_ids": [7], "time_start": 1.0,
        "time_stop": FAILED.ended.timestamp(), "msg": "FailedStatus:\n motor_ph did not arrive", "traceback": "…",
    }  # fmt: skip
    queue.waiting = [{"name": "scan", "item_uid": "2", "result": result}, {"name": "count", "item_uid": "3"}]
    assert asked() == QueueStatus(state="idle", waiting=2, running="", failed=FAILED)
    queue.item = {"name": "scan"}
    assert asked() == QueueStatus(state="executing_queue", waiting=2, running="scan", failed=None)
    queue.close()
    assert queue_status(site, settings, deadline=1) is None


def test_status_has_the_queue_in_it(settings: Settings, queue: QueueStandIn) -> None:
    import asyncio

    queue.waiting = [{"name": "count", "item_uid": "3"}]
    site = Site.model_validate(
        {"schema_version": 1, "site": "hill", "hosts": {}, "registry": None, "images": {}, "nodes": []}
    )
    found = asyncio.run(status(site, settings, deadline=5))
    assert found.ok
    assert found.queue is not None
    assert found.queue.waiting == 1
