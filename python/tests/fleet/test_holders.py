"""Which nodes have an instance: that one takes over from another is noted when it happens."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bluefleet.engine import ContainerSpec
from bluefleet.fleet import State
from bluefleet.fleet import _applied as applied
from bluefleet.fleet import _state as shapes
from bluefleet.fleet._holders import has, hold, holders, let_go
from bluefleet.fleet._moved import taken_over
from bluefleet.fleet._twin import SIMULATED_LABEL
from bluefleet.model import Site

SPEC = ContainerSpec(name="bluefleet-cam", reference="r:5000/ioc", digest="sha256:" + "a" * 64, labels={})


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state.sqlite")


def site(*declaring: str) -> Site:
    """Three nodes; these declare `cam`."""
    nodes = [
        {
            "name": name,
            "address": f"10.0.0.{number}",
            "instances": [{"name": "cam", "image": "ioc"}] if name in declaring else [],
        }
        for number, name in enumerate(("node1", "node2", "node3"), 1)
    ]
    return Site.model_validate(
        {
            "schema_version": 1,
            "site": "lab",
            "hosts": {},
            "registry": None,
            "images": {"ioc": {"reference": "r:5000/ioc"}},
            "nodes": nodes,
        }
    )


def well(state: State, declared: Site, *nodes: str) -> None:
    for node in nodes:
        hold(state, declared, node, "cam", SPEC)


def heirs(state: State, declared: Site) -> dict[str, str]:
    """Who has taken over from which node."""
    known = holders(state)
    return {node.name: one.node for node in declared.nodes for one in taken_over(declared, node, known).values()}


def test_before_anything_was_noted_nobody_has_anything(state: State) -> None:
    assert holders(state) == {}
    assert not has({}, "node1", "cam")
    let_go(state, "node1", "cam")
    assert not state.file.exists()


def test_who_is_well_with_what_another_no_longer_declares_takes_over(state: State) -> None:
    well(state, site("node1"), "node1")
    assert heirs(state, site("node2")) == {}
    well(state, site("node2"), "node2")
    assert heirs(state, site("node2")) == {"node1": "node2", "node3": "node2"}
    assert not has(holders(state), "node1", "cam")


@pytest.mark.parametrize("order", [("node1", "node2"), ("node2", "node1")])
def test_of_a_name_that_two_nodes_have_the_one_that_stays_takes_nothing_over(
    state: State, order: tuple[str, str]
) -> None:
    well(state, site("node1", "node2"), *order)
    # It is updated, made anew, found well again, before and after the other one is not declared any more.
    well(state, site("node1", "node2"), "node2", "node1")
    well(state, site("node2"), "node2")
    assert "node1" not in heirs(state, site("node2"))


def test_to_be_well_again_is_no_news(state: State) -> None:
    well(state, site("node1", "node2"), "node1", "node2")
    before = holders(state)
    well(state, site("node1", "node2"), "node1", "node2", "node1")
    assert holders(state) == before


def test_what_moved_away_and_came_back_is_here_again(state: State) -> None:
    for node in ("node1", "node2", "node1"):
        well(state, site(node), node)
    assert heirs(state, site("node1")) == {"node2": "node1", "node3": "node1"}


def test_what_was_taken_away_from_a_node_is_news_when_it_comes_there(state: State) -> None:
    both = site("node1", "node2")
    well(state, both, "node1", "node2")
    let_go(state, "node1", "cam")
    # This time it is the other node's that moves.
    well(state, site("node1"), "node1")
    assert heirs(state, site("node1"))["node2"] == "node1"


def test_a_twin_takes_nothing_over(state: State) -> None:
    well(state, site("node1"), "node1")
    hold(state, site("node2"), "node2", "cam", replace(SPEC, labels={SIMULATED_LABEL: "true"}))
    assert heirs(state, site("node2")) == {}


def test_of_what_was_applied_before_nothing_counts_as_taken_over(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shapes, "_SHAPES", shapes._SHAPES[:3])
        for node, spec in (("node1", SPEC), ("node1", replace(SPEC, user="0")), ("node2", SPEC)):
            applied.note(state, node, "cam", spec, who="ada", verb="apply")
    with closing(sqlite3.connect(state.file)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    assert {key: one.beside for key, one in holders(state).items()} == {
        ("node1", "cam"): {"node2"},
        ("node2", "cam"): {"node1"},
    }
    assert "node1" not in heirs(state, site("node2"))
    # What happens from now on is noted.
    well(state, site("node3"), "node3")
    assert heirs(state, site("node3")) == {"node1": "node3", "node2": "node3"}
