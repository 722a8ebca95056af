"""What is asked of Tiled's catalogue to find a run. Tiled itself is tested in its image."""

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bluefleet.documents.run_reference import RunReference

UID = "0f3a5c1e-0000-4000-8000-000000000001"


class Catalogue(dict[str, Any]):
    """A container that counts how often it was listed."""

    listed = 0

    def __iter__(self) -> Iterator[str]:
        self.listed += 1
        return super().__iter__()


@pytest.fixture
def nodes_named(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The function, where Tiled is not installed."""
    queries = ModuleType("tiled.queries")
    queries.Key = None  # pyright: ignore[reportAttributeAccessIssue]
    access = SimpleNamespace(PROBE="sink_probe", child=lambda node, key: node.get(key), translated=None)
    monkeypatch.setitem(sys.modules, "tiled", ModuleType("tiled"))
    monkeypatch.setitem(sys.modules, "tiled.queries", queries)
    monkeypatch.setitem(sys.modules, "bluefleet.documents.tiled_access", access)
    monkeypatch.delitem(sys.modules, "bluefleet.documents.tiled_named", raising=False)
    from bluefleet.documents.tiled_named import nodes_named

    yield nodes_named
    del sys.modules["bluefleet.documents.tiled_named"]


def test_a_whole_uid_that_is_not_there_is_no_reason_to_list_the_catalogue(nodes_named: Any) -> None:
    catalogue = Catalogue({UID: "a run"})
    assert nodes_named(catalogue, RunReference.parse(UID)) == ["a run"]
    assert nodes_named(catalogue, RunReference.parse(UID[:-1] + "2")) == []
    assert catalogue.listed == 0
    assert nodes_named(catalogue, RunReference.parse(UID[:8])) == ["a run"]
