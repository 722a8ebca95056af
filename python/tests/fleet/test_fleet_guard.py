"""Which running plans keep an instance from being taken away."""

from pathlib import Path

import pytest

from bluefleet.fleet import Settings
from bluefleet.fleet._guard import Guard
from bluefleet.fleet._queue import Queue, RunningPlan
from bluefleet.model import Instance, Site

AXIS = Instance.model_validate(
    {
        "name": "axis",
        "image": "ioc",
        "devices": [{"name": "motor_ph", "class": "bluefleet.devices.Axis", "prefix": "x:"}],
    }
)
OTHER = Instance.model_validate(
    {
        "name": "other",
        "image": "ioc",
        "devices": [{"name": "thermo", "class": "bluefleet.devices.Thermo", "prefix": "t:"}],
    }
)
BARE = Instance.model_validate({"name": "bare", "image": "ioc"})
SITE = Site.model_validate(
    {
        "schema_version": 1,
        "site": "lab",
        "hosts": {},
        "registry": None,
        "images": {"ioc": {"reference": "ioc"}},
        "nodes": [{"name": "node1", "address": "10.0.0.1", "instances": [AXIS, OTHER, BARE]}],
    }
)


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    return Guard(SITE, Settings(etc=tmp_path, lib=tmp_path), permitted=True)


def running(queue_item: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> RunningPlan:
    """The plan as the queue tells it."""
    said = {"queue/get": {"running_item": {"item_uid": "item-1", **queue_item}}, "re/runs/active": {"run_list": []}}
    queue = Queue("https://127.0.0.1:1/api", Path("ca"), Path("key"))
    monkeypatch.setattr(queue, "_ask", lambda _method, path: said[path])
    found = queue._running()
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("item", "kept"),
    [
        ({"name": "scan", "args": [["det1"], "motor_ph", -1, 1, 5]}, {"axis"}),
        ({"name": "mv", "args": ["motor_ph.velocity", 2]}, {"axis"}),
        ({"name": "count", "kwargs": {"detectors": ["thermo.temperature"]}}, {"other"}),
        # A site's own plan has devices in its body or as defaults, whatever its arguments are: it may use any.
        ({"name": "align_beamline", "args": [3]}, {"axis", "other"}),
        ({"name": "align", "args": ["motor_ph"]}, {"axis", "other"}),
    ],
)
def test_a_plan_keeps_the_instances_that_it_uses_or_may_use(
    item: dict[str, object], kept: set[str], guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = running(item, monkeypatch)
    assert {instance.name for instance in (AXIS, OTHER, BARE) if guard.uses(plan, instance)} == kept


def test_what_is_no_longer_declared_may_be_in_use(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    assert guard.uses(running({"name": "count", "args": [["thermo"]]}, monkeypatch), None)
