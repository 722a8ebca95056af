"""What is left on a node of an instance that another node has taken over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bluefleet.engine import Container
from bluefleet.fleet import Override, Overrides
from bluefleet.fleet._holders import Holder
from bluefleet.fleet._moved import TakenOver, stops, taken_over, takes_away
from bluefleet.model import Site

BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = BEGIN + timedelta(hours=1)
DIGEST = "sha256:" + "a" * 64


def site(**instances: list[str]) -> Site:
    """Nodes with what is declared on them."""
    nodes = [
        {"name": node, "address": f"10.0.0.{number}", "instances": [{"name": one, "image": "ioc"} for one in names]}
        for number, (node, names) in enumerate(instances.items(), 1)
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


def taken(declared: Site, **made: datetime) -> dict[str, str]:
    """Which node has taken what over from node1; `made` is spelled `node2_cam1`, when no other node was declared to."""
    known = {(name.split("_")[0], name.split("_")[1]): Holder(when) for name, when in made.items()}
    return {name: one.node for name, one in taken_over(declared, declared.nodes[0], known).items()}


def left(name: str = "cam1", **more: object) -> Container:
    found = Container(
        id=name,
        name=f"bluefleet-{name}",
        labels={"org.bluefleet.instance": name},
        image=f"r:5000/ioc@{DIGEST}",
        state="running",
        health="",
        restarts=0,
        exit_code=0,
        reason="",
        started=LATER + timedelta(hours=1),
        finished=None,
    )
    return replace(found, **more)  # pyright: ignore[reportArgumentType]


def test_what_was_made_on_another_node_since_is_taken_over() -> None:
    moved = site(node1=[], node2=["cam1"])
    assert taken(moved, node1_cam1=BEGIN, node2_cam1=LATER) == {"cam1": "node2"}
    # What was never well here, or only simulated, was not noted.
    assert taken(moved, node2_cam1=LATER) == {"cam1": "node2"}


def test_what_another_node_should_have_and_was_not_made_there_yet_is_not_taken_over() -> None:
    moved = site(node1=[], node2=["cam1"])
    assert taken(moved, node1_cam1=BEGIN) == {}
    # It was there once, before it was here.
    assert taken(moved, node1_cam1=LATER, node2_cam1=BEGIN) == {}


def test_a_name_that_is_declared_here_too_is_not_taken_over() -> None:
    assert taken(site(node1=["camera"], node2=["camera"]), node1_camera=BEGIN, node2_camera=LATER) == {}


@pytest.mark.parametrize(("here", "there"), [(BEGIN, LATER), (LATER, BEGIN)], ids=["first here", "first there"])
def test_a_name_that_another_node_had_all_along_is_not_taken_over(here: datetime, there: datetime) -> None:
    one = site(node1=[], node2=["camera"])
    known = {
        ("node1", "camera"): Holder(here, frozenset({"node2"})),
        ("node2", "camera"): Holder(there, frozenset({"node1"})),
    }
    assert taken_over(one, one.nodes[0], known) == {}


def test_names_that_begin_alike_are_other_names() -> None:
    moved = site(node1=["cam10"], node2=["cam1"])
    assert taken(moved, node1_cam10=BEGIN, node2_cam1=LATER) == {"cam1": "node2"}
    assert taken(site(node1=[], node2=["cam1"]), node1_cam10=BEGIN, node2_cam10=LATER) == {}


def test_of_several_the_node_that_made_it_last_has_it() -> None:
    everywhere = site(node1=[], node2=["cam1"], node3=["cam1"])
    assert taken(everywhere, node1_cam1=BEGIN, node2_cam1=LATER, node3_cam1=LATER + timedelta(1)) == {"cam1": "node3"}


def test_only_what_runs_of_it_is_stopped_and_what_came_back_interrupts_nobody() -> None:
    node, over = site(node1=[]).nodes[0], {"cam1": TakenOver("node2", LATER)}
    (step,) = stops(node, [left(), left("cam10"), left("cam1", state="exited")], over, Overrides())
    assert (step.kind, step.instance, step.reason) == ("stop", "cam1", "it belongs to node2 now")
    assert not step.interrupts
    # It never ended: a plan that runs since may use it.
    (step,) = stops(node, [left(started=BEGIN)], over, Overrides())
    assert step.interrupts


def test_what_is_cordoned_stays_as_it_is() -> None:
    node, over = site(node1=[]).nodes[0], {"cam1": TakenOver("node2", LATER)}
    for instance in ("", "cam1"):
        cordoned = Override(node="node1", instance=instance, kind="cordoned", who="ada")
        assert stops(node, [left()], over, Overrides([cordoned])) == []
    elsewhere = Override(node="node1", instance="cam10", kind="cordoned", who="ada")
    assert len(stops(node, [left()], over, Overrides([elsewhere]))) == 1


def test_what_was_never_well_here_may_be_in_use_by_a_plan() -> None:
    node, over = site(node1=[]).nodes[0], {"cam1": TakenOver("node2", LATER, known=False)}
    (step,) = stops(node, [left()], over, Overrides())
    assert step.interrupts


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ([], "`bluefleet apply node1` takes it away"),
        (["disabled"], "`bluefleet enable node1` and `bluefleet apply node1` take it away"),
        (["cordoned"], "`bluefleet clear node1` and `bluefleet apply node1` take it away"),
        (["disabled", "cordoned"], "`bluefleet clear node1` and `bluefleet apply node1` take it away"),
    ],
)
def test_what_is_told_to_take_it_away_does_so(kinds: list[Any], words: str) -> None:
    node, over = site(node1=[]).nodes[0], TakenOver("node2", LATER)
    of_others = [("node2", ""), ("node1", "cam1")]
    overrides = Overrides(
        [
            *(Override(node="node1", kind=kind, who="ada") for kind in kinds),
            *(Override(node=at, instance=name, kind="disabled", who="ada") for at, name in of_others),
        ]
    )
    remedy = takes_away(node, overrides)
    assert remedy == words
    assert over.left("exited", "", remedy) == f"stopped: it belongs to node2 now; {words}"
    assert over.left("running", "", remedy) == "there, but not declared: it belongs to node2 now"
    assert over.left("running", "gave up", remedy).endswith(f"it belongs to node2 now; gave up; {words}")
