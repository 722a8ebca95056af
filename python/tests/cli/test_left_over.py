"""Overrides of what is declared no longer: `status` shows them, `clear` takes them away by name."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from bluefleet.cli.main import build
from bluefleet.fleet import Override, Overrides, Settings, State, history
from bluefleet.fleet._overrides import put

SITE = {
    "schema_version": 1,
    "site": "hill",
    "hosts": {
        "manager": {"address": "127.0.0.1", "groups": ["manager"]},
        "node1": {"address": "127.0.0.2", "groups": ["nodes"]},
    },
    "registry": None,
    "images": {"ioc": {"reference": "ioc"}},
    # Nothing listens there: status is about what is left over.
    "nodes": [
        {"name": "node1", "address": "127.0.0.2", "port": 1, "instances": [{"name": "cam1", "image": "ioc"}]},
    ],
}
LEFT = [("node1", "cam9"), ("node2", ""), ("node2", "cam1")]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """A manager whose inventory has had two more instances and a node."""
    settings = Settings(etc=tmp_path / "etc", lib=tmp_path / "lib")
    monkeypatch.setenv("BLUEFLEET_ETC", str(settings.etc))
    monkeypatch.setenv("BLUEFLEET_LIB", str(settings.lib))
    monkeypatch.delenv("BLUEFLEET_INVENTORY", raising=False)
    settings.etc.mkdir()
    settings.site_file.write_text(yaml.safe_dump(SITE))
    found = State(settings.state_file)
    places = [*LEFT, ("node1", "cam1")]
    put(found, [Override(node=node, instance=name, kind="stopped", who="ada", reason="dust") for node, name in places])
    return found


def say(verb: str, *words: str) -> Result:
    return CliRunner().invoke(build([verb]), [verb, *words])


def places(state: State) -> list[tuple[str, str]]:
    return [(one.node, one.instance) for one in Overrides.now(state).all]


def test_status_lists_them_with_what_takes_them_away(state: State) -> None:
    shown = say("status").stdout
    assert "node1/cam9 is not declared, but stopped by ada" in shown
    assert "`bluefleet clear node2/` takes that away" in shown
    assert "node1/cam1 is not declared" not in shown
    orphans = json.loads(say("status", "--json").stdout)["orphans"]
    assert [(one["node"], one["instance"]) for one in orphans] == LEFT
    assert [one["node"] for one in json.loads(say("status", "node1", "--json").stdout)["orphans"]] == ["node1"]


@pytest.mark.parametrize(
    ("targets", "stay"),
    [
        (["cam9"], [("node1", "cam1"), ("node2", ""), ("node2", "cam1")]),
        (["node1/cam9", "node2/cam1"], [("node1", "cam1"), ("node2", "")]),
        (["node2"], [("node1", "cam1"), ("node1", "cam9")]),
        # Declared on one node and left over on another.
        (["cam1"], [("node1", "cam9"), ("node2", "")]),
        (["node1"], [("node2", ""), ("node2", "cam1")]),
        (["--all"], []),
    ],
)
def test_clear_takes_them_away(state: State, targets: list[str], stay: list[tuple[str, str]]) -> None:
    before = places(state)
    planned = say("clear", *targets, "--dry-run")
    assert (planned.exit_code, places(state)) == (0, before)
    done = say("clear", *targets)
    assert done.exit_code == 0
    assert places(state) == stay
    assert done.stderr.count("no longer stopped") == planned.stderr.count("no longer stopped") == 4 - len(stay)
    assert len(history.entries(state)[0].detail) == 4 - len(stay)


def test_a_name_that_is_nowhere_is_an_error_and_nothing_is_cleared(state: State) -> None:
    before = places(state)
    found = say("clear", "cam9", "cam7")
    assert found.exit_code == 2
    assert "no node or instance is called cam7" in found.stderr
    assert say("clear", "cam9", "--kind", "pinned").exit_code == 0
    assert places(state) == before
