"""What the service makes of what it sees on a node, from what it remembers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bluefleet.engine import LABEL, SPEC_LABEL, Container
from bluefleet.fleet import Overrides, Reconciler, Settings, Trouble
from bluefleet.fleet._desired import desired
from bluefleet.fleet._holders import Holder
from bluefleet.fleet._status import Known
from bluefleet.model import Site

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DIGEST = "sha256:" + "a" * 64
AGO = timedelta(minutes=1)


def site(**declared: list[str]) -> Site:
    nodes = [
        {"name": node, "address": f"10.0.0.{number}", "instances": [{"name": one, "image": "ioc"} for one in names]}
        for number, (node, names) in enumerate(declared.items(), 1)
    ]
    return Site.model_validate(
        {
            "schema_version": 1,
            "site": "lab",
            "hosts": {},
            "registry": None,
            "images": {"ioc": {"reference": f"r:5000/ioc@{DIGEST}", "digest": DIGEST}},
            "nodes": nodes,
        }
    )


def container(started: datetime, **more: Any) -> Container:
    return Container(
        **{
            "id": "1",
            "name": "bluefleet-cam1",
            "labels": {f"{LABEL}.instance": "cam1"},
            "image": f"r:5000/ioc@{DIGEST}",
            "state": "running",
            "health": "",
            "restarts": 0,
            "exit_code": 0,
            "reason": "",
            "started": started,
            "finished": None,
            **more,
        }
    )


def judged(tmp_path: Path, declared: Site, known: Known, *containers: Container) -> Any:
    reconciler = Reconciler(Settings(etc=tmp_path, lib=tmp_path), now=lambda: NOW)
    return reconciler._judge(declared, declared.nodes[0], known, containers)


@pytest.mark.parametrize(
    ("booted", "gave_up", "steps"),
    [
        # It runs on as it did when it was tried in vain.
        (-5 * AGO, NOW - AGO, 0),
        # Its node was booted since, before the give-up or after it.
        (-2 * AGO, NOW - AGO, 1),
        (-AGO / 2, NOW - AGO, 1),
        # Nobody gave up: the pauses go on growing.
        (-AGO / 2, None, 0),
    ],
)
def test_what_could_not_be_stopped_is_tried_again_once_its_node_was_booted(
    tmp_path: Path, booted: timedelta, gave_up: datetime | None, steps: int
) -> None:
    trouble = Trouble(node="node1", instance="cam1", spec="", reason="", tries=5, tried=NOW - 3 * AGO, gave_up=gave_up)
    known = Known(
        troubles={("node1", "cam1"): trouble},
        holders={("node1", "cam1"): Holder(NOW - 90 * AGO), ("node2", "cam1"): Holder(NOW - 60 * AGO)},
    )
    found = judged(tmp_path, site(node1=[], node2=["cam1"]), known, container(NOW + booted))
    assert [step.kind for step in found.steps] == ["stop"] * steps
    assert [one.tries for one in found.tried] == [1] * steps


@pytest.mark.parametrize(
    ("seen", "here"),
    [
        ({"health": "healthy"}, True),
        ({"health": "starting"}, False),
        ({"health": "unhealthy"}, False),
        # Nothing checks it.
        ({"started": NOW - AGO}, True),
        ({"started": NOW - AGO / 2}, False),
        ({"state": "restarting"}, False),
        ({"health": "healthy", "labels": {SPEC_LABEL: "another"}}, False),
    ],
)
def test_what_is_well_and_was_not_noted_yet_is(tmp_path: Path, seen: dict[str, Any], here: bool) -> None:
    declared = site(node1=["cam1"], node2=[])
    (one,) = desired(declared, declared.nodes[0], Overrides())
    there = replace(container(NOW - AGO / 2, labels={SPEC_LABEL: one.spec.sha256}), **seen)
    gone = Holder(NOW - 60 * AGO)
    cases = {
        "never noted": (Known(), here),
        "it comes back": (
            Known(holders={("node1", "cam1"): gone, ("node2", "cam1"): Holder(NOW - 30 * AGO)}),
            here,
        ),
        "noted": (Known(holders={("node1", "cam1"): gone}), False),
    }
    for case, (known, expected) in cases.items():
        found = judged(tmp_path, declared, known, there)
        assert [one.declared.name for one in found.here] == (["cam1"] if expected else []), case
