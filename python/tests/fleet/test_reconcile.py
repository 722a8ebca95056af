"""What the service makes of what it sees on a node, from what it remembers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bluefleet.engine import LABEL, SPEC_LABEL, Container
from bluefleet.fleet import Overrides, Reconciler, Settings
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
