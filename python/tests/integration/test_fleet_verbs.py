"""status, apply and devices as commands: exit codes, clean JSON on stdout, words on stderr."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from bluefleet.cli import apply, devices, status
from bluefleet.model import Site
from real_engine import MakeSite, Seen

RUN = CliRunner()


@pytest.fixture
def manager(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The manager's site file; the commands look where this says."""
    monkeypatch.setenv("BLUEFLEET_ETC", str(settings.etc))
    monkeypatch.setenv("BLUEFLEET_LIB", str(settings.lib))
    return settings.site_file


def text(site: Site) -> str:
    return yaml.safe_dump(site.model_dump(mode="json", by_alias=True))


def one(word: str, **more: Any) -> dict[str, list[dict[str, Any]]]:
    return {"node1": [{"name": word, "image": "tiny", "stop_grace_seconds": 1, **more}]}


def test_apply_check_exits_3_when_something_differs_and_0_when_nothing_does(
    make_site: MakeSite, manager: Path, seen: Seen, word: str
) -> None:
    manager.write_text(text(make_site(one(word))))
    planned = RUN.invoke(apply.app, ["--check", "--json"])
    assert planned.exit_code == 3
    assert json.loads(planned.stdout)["nodes"][0]["steps"][0]["outcome"] == "planned"
    assert "would create: it is not there" in planned.stderr

    done = RUN.invoke(apply.app, ["--json"])
    assert (done.exit_code, json.loads(done.stdout)["changed"]) == (0, True)
    assert RUN.invoke(apply.app, ["--check"]).exit_code == 0
    assert json.loads(RUN.invoke(apply.app, ["--json"]).stdout)["changed"] is False


def test_what_is_about_to_be_declared_can_be_checked(make_site: MakeSite, manager: Path, seen: Seen, word: str) -> None:
    manager.write_text(text(make_site(one(word))))
    RUN.invoke(apply.app, [])
    changed = text(make_site(one(word, user="1000")))
    found = RUN.invoke(apply.app, ["--check", "--stdin", "--json"], input=changed)
    assert found.exit_code == 3
    assert json.loads(found.stdout)["nodes"][0]["steps"][0]["action"] == "recreate"
    assert RUN.invoke(apply.app, ["--stdin"], input=changed).exit_code == 2


def test_status_exits_1_when_something_is_not_well(make_site: MakeSite, manager: Path, seen: Seen, word: str) -> None:
    manager.write_text(text(make_site(one(word), hung=("node2",))))
    found = RUN.invoke(status.app, ["--json", "--deadline", "1"])
    said = json.loads(found.stdout)
    assert (found.exit_code, said["schema_version"], said["ok"]) == (1, 1, False)
    assert [node["name"] for node in said["nodes"]] == ["node2", "node1"]


def test_status_of_chosen_nodes_is_about_them_only(make_site: MakeSite, manager: Path, seen: Seen, word: str) -> None:
    manager.write_text(text(make_site(one(word), hung=("node2",))))
    RUN.invoke(apply.app, ["node1"])
    found = RUN.invoke(status.app, ["node1"])
    assert found.exit_code == 0
    assert "all well" in found.stdout
    assert word in found.stdout


def test_an_unknown_node_is_an_error_that_lists_what_exists(make_site: MakeSite, manager: Path, word: str) -> None:
    manager.write_text(text(make_site({"node1": []})))
    found = RUN.invoke(status.app, ["node9"])
    assert found.exit_code == 2
    assert "no node or instance is called node9" in found.stderr
    assert "node1" in found.stderr


def test_a_site_file_that_declares_nothing_sensible_exits_2(manager: Path) -> None:
    manager.write_text("schema_version: 1\n")
    found = RUN.invoke(status.app, ["--json"])
    assert (found.exit_code, found.stdout) == (2, "")


def test_devices_are_listed_with_where_they_are(make_site: MakeSite, manager: Path, word: str) -> None:
    device = {"name": "axis", "class": "bluefleet.devices.Axis", "prefix": "x:"}
    manager.write_text(text(make_site(one(word, devices=[device]))))
    found = RUN.invoke(devices.app, ["list", "--json"])
    assert json.loads(found.stdout)["devices"] == [
        {
            "name": "axis",
            "device_class": "bluefleet.devices.Axis",
            "prefix": "x:",
            "node": "node1",
            "instance": word,
            "state": "none",
            "unreachable": "",
            "refused": "",
        }
    ]
    assert "Axis" in RUN.invoke(devices.app, ["list"]).stdout
