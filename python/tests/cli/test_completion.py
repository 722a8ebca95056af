"""What a shell is told may come next."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bluefleet.cli.completion import candidates
from bluefleet.cli.main import VERBS

SITE = """
nodes:
- name: node1
  categories: [guider]
  instances:
  - {name: cam1, categories: [camera]}
  - {name: cam10}
- name: node10
"""


@pytest.fixture(autouse=True)
def site_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BLUEFLEET_ETC", str(tmp_path))
    (tmp_path / "fleet.yml").write_text(SITE)
    return tmp_path / "fleet.yml"


def test_first_comes_a_verb() -> None:
    assert candidates(["st"]) == ["status", "start", "stop"]
    assert "complete" not in candidates([""])
    assert candidates(["-i", ""]) == []
    assert candidates(["-i", "inventories/x", "his"]) == ["history"]


@pytest.mark.parametrize("verb", ["status", "apply", "stop", "logs", "exec", "disable", "images"])
def test_then_nodes_and_instances(verb: str) -> None:
    assert candidates([verb, ""]) == ["cam1", "cam10", "node1", "node1/cam1", "node1/cam10", "node10"]
    assert candidates([verb, "node1", "node1/"]) == ["node1/cam1", "node1/cam10"]


def test_categories_kinds_and_options_where_they_belong() -> None:
    assert candidates(["stop", "--category", ""]) == ["camera", "guider"]
    assert candidates(["clear", "node1", "--kind", "c"]) == ["cordoned"]
    assert "--interrupt-runs" in candidates(["stop", "--"])
    assert candidates(["disable", "--reas"]) == ["--reason"]


def test_verbs_of_verbs_and_the_options_of_those() -> None:
    assert candidates(["documents", ""]) == ["backlog", "dead", "listen", "replay", "verify"]
    assert candidates(["documents", "ver"]) == ["verify"]
    assert "--wait" in candidates(["documents", "verify", "--"])
    assert candidates(["documents", "verify", ""]) == []
    assert candidates(["actor", "st"]) == ["start", "status", "stop"]
    assert "--debug" in candidates(["actor", "restart", "--"])
    assert candidates(["devices", ""]) == ["join", "list"]
    assert candidates(["completion", ""]) == ["bash", "zsh"]
    assert candidates(["completion", "bash", ""]) == []


def test_history_is_asked_for_a_verb_by_its_name() -> None:
    assert candidates(["history", "--verb", "re"]) == ["reboot", "reconcile", "restart"]
    assert "status" not in candidates(["history", "--verb", ""])


def test_verbs_that_take_no_names_get_none() -> None:
    assert candidates(["validate", ""]) == []
    assert candidates(["devices", "list", "node10"]) == ["node10"]


@pytest.mark.parametrize("broken", ["", "nodes: 3", "]["])
def test_a_site_file_that_says_nothing_is_no_error(site_file: Path, broken: str) -> None:
    site_file.write_text(broken)
    assert candidates(["stop", ""]) == []


@pytest.mark.parametrize(
    "typed", [".venv/bin/bluefleet", "~/.venv/bin/bluefleet", "bluefleet"], ids=["path", "home", "alias"]
)
def test_bash_completes_a_command_that_is_not_on_the_path(tmp_path: Path, typed: str) -> None:
    if shutil.which("bash") is None:
        pytest.skip("no bash here")
    beside = tmp_path / ".venv" / "bin" / "bluefleet"
    beside.parent.mkdir(parents=True)
    beside.symlink_to(Path(sys.executable).with_name("bluefleet"))
    script = """
    source <(.venv/bin/bluefleet completion bash)
    ! command -v bluefleet
    COMP_WORDS=("$1" stop cam) COMP_CWORD=2
    _bluefleet
    echo "${COMPREPLY[@]}"
    """
    environment = {**os.environ, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", script, "bash", typed],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "cam1 cam10\n", done.stderr


def test_there_is_help_for_every_verb() -> None:
    assert all(verb.help.endswith(".") for verb in VERBS.values())
