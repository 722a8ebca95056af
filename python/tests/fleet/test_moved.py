"""What is left on a node of an instance that another node has taken over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bluefleet.engine import Container, ContainerSpec
from bluefleet.fleet import Override, Overrides, State, Trouble
from bluefleet.fleet import _applied as applied
from bluefleet.fleet._moved import TakenOver, stops, taken_over
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
    """Which node has taken what over from node1; `made` is spelled `node2_cam1`."""
    times = {(name.split("_")[0], name.split("_")[1]): when for name, when in made.items()}
    return {name: one.node for name, one in taken_over(declared, declared.nodes[0], times).items()}


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


def test_a_name_that_another_node_had_all_along_is_not_taken_over() -> None:
    assert taken(site(node1=[], node2=["camera"]), node1_camera=LATER, node2_camera=BEGIN) == {}


def test_names_that_begin_alike_are_other_names() -> None:
    moved = site(node1=["cam10"], node2=["cam1"])
    assert taken(moved, node1_cam10=BEGIN, node2_cam1=LATER) == {"cam1": "node2"}
    assert taken(site(node1=[], node2=["cam1"]), node1_cam10=BEGIN, node2_cam10=LATER) == {}


def test_of_several_the_node_that_made_it_last_has_it() -> None:
    everywhere = site(node1=[], node2=["cam1"], node3=["cam1"])
    assert taken(everywhere, node1_cam1=BEGIN, node2_cam1=LATER, node3_cam1=LATER + timedelta(1)) == {"cam1": "node3"}


def test_what_moved_away_and_came_back_is_here_again_though_its_spec_is_the_one_of_before(tmp_path: Path) -> None:
    state = State(tmp_path / "state.sqlite")
    spec = ContainerSpec(name="bluefleet-cam1", reference="r:5000/ioc", digest=DIGEST, labels={})
    for node in ("node1", "node2", "node1"):
        applied.note(state, node, "cam1", spec, who="ada", verb="apply")
    back = site(node2=[], node1=["cam1"])
    assert {name: one.node for name, one in taken_over(back, back.nodes[0], applied.last_made(state)).items()} == {
        "cam1": "node1"
    }
    # It is one spec all the same: a rollback has nothing to bring back.
    (noted,) = applied.on_node(state, "node1")
    # To be made anew where it is, is no news.
    applied.note(state, "node1", "cam1", spec, who="bob", verb="apply")
    assert applied.on_node(state, "node1") == [noted]


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


def test_a_give_up_of_what_should_not_be_there_names_what_takes_it_away() -> None:
    words = Trouble(node="node1", instance="cam1", spec="", reason="it belongs to node2 now", tries=5).words
    assert "`bluefleet apply node1` takes it away" in words
