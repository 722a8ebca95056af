"""What a rollback can bring back."""

from dataclasses import replace
from pathlib import Path

import pytest

from bluefleet.engine import ContainerSpec
from bluefleet.fleet import State
from bluefleet.fleet import _applied as applied
from bluefleet.fleet._twin import SIMULATED_LABEL

REAL = ContainerSpec(name="bluefleet-cam1", reference="r:5000/cam", digest="sha256:" + "a" * 64, labels={})
TWIN = replace(REAL, labels={SIMULATED_LABEL: "true"})


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state.sqlite")


def note(state: State, spec: ContainerSpec) -> None:
    applied.note(state, "node1", "cam1", spec, who="ada", verb="apply")


def test_a_twin_is_not_noted(state: State) -> None:
    note(state, TWIN)
    assert applied.on_node(state, "node1") == []


def test_a_twin_that_was_noted_once_is_never_brought_back(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    note(state, REAL)
    with monkeypatch.context() as patch:
        patch.setattr(applied, "is_twin", lambda _: False)
        note(state, TWIN)
    noted = applied.on_node(state, "node1")
    found = applied.previous(state, "node1", "cam1", "another")
    assert [one.spec for one in noted] == [REAL, TWIN]
    assert found is not None
    assert found.spec == REAL
    assert applied.surplus(noted) == [noted[1]]
    with state.reading() as connection:
        assert connection is not None
        assert applied.specs(connection, [("node1", "cam1", TWIN.sha256)]) == {}
