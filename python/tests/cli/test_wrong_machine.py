"""What belongs on the control machine, typed on the manager: the command says so, and shows nobody a traceback."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bluefleet import checkout
from bluefleet.cli.main import VERBS
from patience import PATIENCE

SITE = """
schema_version: 1
site: hill
hosts: {manager: {address: 10.0.0.10, groups: [manager]}}
registry: null
images: {}
nodes: []
"""
# What the manager's installation lacks.
ABSENT = ("ansible", "confluent_kafka", "httpx", "msgpack", "msgpack_numpy", "numpy")
CODE = f"""
import json, os, pwd, sys, types
if "RUNS_AS" in os.environ:
    pwd.getpwuid = lambda _: types.SimpleNamespace(pw_name=os.environ["RUNS_AS"])
sys.modules.update(dict.fromkeys({ABSENT}))
from typer.testing import CliRunner
from bluefleet.cli.main import build
for words in json.load(sys.stdin):
    os.environ.pop("BLUEFLEET_INVENTORY", None)
    done = CliRunner().invoke(build(words), words)
    error = "" if done.exception is None else type(done.exception).__name__
    print(json.dumps([words, done.exit_code, done.stdout, done.stderr, error]))
"""
# Words after a verb that make it do something, where it needs any.
MORE = {
    "actor": ["status"],
    "exec": ["ioc", "ls"],
    "talk": ["status"],
    "disable": ["node1", "--reason", "dust"],
    "devices": ["list"],
    "documents": ["verify", "-1"],
}


class Manager:
    """An installation as the manager has it: this package alone, a site file, no checkout around."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(Path(checkout.__file__).parent, folder / "lib" / "bluefleet")
        (folder / "etc").mkdir()
        (folder / "etc" / "fleet.yml").write_text(SITE)

    def say(
        self, *calls: list[str], folder: Path | None = None, **more: str
    ) -> list[tuple[list[str], int, str, str, str]]:
        """For each call its words, exit code, stdout, stderr and what it died of."""
        paths = {
            "PYTHONPATH": self.folder / "lib",
            "BLUEFLEET_ETC": self.folder / "etc",
            "BLUEFLEET_LIB": self.folder / "var",
        }
        done = subprocess.run(
            [sys.executable, "-P", "-c", CODE],
            input=json.dumps(calls),
            env={**os.environ, **{name: str(path) for name, path in paths.items()}, **more},
            cwd=folder or self.folder,
            capture_output=True,
            text=True,
            timeout=50 * PATIENCE,
            check=True,
        )
        return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Manager:
    return Manager(tmp_path_factory.mktemp("manager"))


def test_a_verb_of_the_control_machine_says_where_it_works_and_what_to_type_there(manager: Manager) -> None:
    calls = [["site"], ["validate"], ["first-scan"], ["examples"], ["documents", "listen"]]
    for words, code, stdout, stderr, _ in manager.say(*calls):
        verb = " ".join(words)
        assert (code, stdout) == (2, ""), stderr
        what, where, remedy = stderr.splitlines()
        assert f"`bluefleet {verb}` works on the control machine, and not here" in what
        assert "the manager" in where
        assert f".venv/bin/bluefleet {verb}" in remedy


def test_a_site_cannot_be_chosen_where_no_checkout_is(manager: Manager) -> None:
    calls = [["-i", "inventories/hill", "status"], ["site", "-i", "inventories/hill"]]
    (_, code, _, stderr, _), (_, code_of_site, _, told, _) = manager.say(*calls)
    assert (code, code_of_site) == (2, 2)
    assert ".venv/bin/bluefleet -i inventories/hill status. Without -i" in stderr
    assert ".venv/bin/bluefleet -i inventories/hill site" in told


def test_no_verb_ends_in_a_traceback_on_the_manager(manager: Manager) -> None:
    plain = [[verb, *MORE.get(verb, ())] for verb in VERBS]
    for words, code, _, stderr, died in manager.say(*plain, *([*words, "--json"] for words in plain)):
        assert died in {"", "SystemExit"}, (words, stderr)
        assert code in {0, 1, 2, 3}, (words, stderr)


def test_with_json_the_wrong_machine_is_an_object_too(manager: Manager) -> None:
    for _, code, stdout, _, _ in manager.say(["site", "--json"], ["-i", "x", "status", "--json"]):
        told: dict[str, Any] = json.loads(stdout)
        assert (code, told["schema_version"], told["ok"]) == (2, 1, False)
        assert set(told["error"]) == {"what", "where", "remedy"}


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A folder that looks like a checkout: by its inventory, the way to the manager is a program of whoever made it."""
    folder, state = tmp_path / "planted", tmp_path / "planted/inventories/lab/.state"
    state.mkdir(parents=True)
    (folder / "roles").mkdir()
    (folder / "ansible.cfg").touch()
    (folder / "inventories/lab/hosts.yml").write_text("manager: {hosts: {manager: {}}}\n")
    program = folder / "program"
    program.write_text(f"#!/bin/sh\ntouch {folder}/ran\n")
    program.chmod(0o755)
    connection = {"address": "192.0.2.1", "arguments": f"-F none -o ProxyCommand={program}"}
    (state / "site.yml").write_text(SITE)
    (state / "control.json").write_text(
        json.dumps({"secrets_dir": str(folder), "pki_dir": str(folder), "connections": {"manager": connection}})
    )
    return folder


@pytest.mark.parametrize("user", ["bluefleet", "ada"])
def test_nobody_has_a_program_run_as_the_fleets_user(manager: Manager, planted: Path, user: str) -> None:
    """Sudo brings members of a group to that user; what they name themselves runs as themselves only."""
    chosen = ["-i", "inventories/lab", "status"]
    ((_, code, _, stderr, _),) = manager.say(chosen, folder=planted, RUNS_AS=user)
    assert (planted / "ran").exists() == (user != "bluefleet")
    if user == "bluefleet":
        assert code == 2
        assert "as user bluefleet it takes no inventory" in stderr
        assert "Without -i, what belongs on the manager works here too" in stderr


def test_the_fleets_user_is_shown_no_folder_of_others(manager: Manager, planted: Path) -> None:
    calls = [["site"], ["validate"], ["first-scan"], ["validate", "-i", str(planted / "inventories/lab")]]
    for words, code, stdout, _, _ in manager.say(*calls, folder=planted, RUNS_AS="bluefleet"):
        assert (code, stdout) == (2, ""), words
    (planted / "inventories/lab/.state/site.yml").write_text("nodes: [{name: stranger}]\n")
    asked = ["complete", "--", "-i", str(planted / "inventories/lab"), "stop", "s"]
    ((_, _, as_the_fleet, _, _),) = manager.say(asked, folder=planted, RUNS_AS="bluefleet")
    ((_, _, as_ada, _, _),) = manager.say(asked, folder=planted, RUNS_AS="ada")
    assert (as_the_fleet, as_ada) == ("", "stranger\n")


def test_a_folder_that_is_closed_to_the_command_is_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the manager it runs as a user of its own, in the folder of who called it."""
    look = Path.is_file

    def closed(path: Path) -> bool:
        if path.is_relative_to(tmp_path):
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(Path, "is_file", closed)
    monkeypatch.chdir(tmp_path)
    assert checkout.find_checkout() == Path(__file__).parents[3]
    monkeypatch.setattr(checkout, "__file__", str(tmp_path / "checkout.py"))
    with pytest.raises(checkout.NoCheckout):
        checkout.find_checkout()
