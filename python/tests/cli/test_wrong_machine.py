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
import json, os, sys
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

    def say(self, *calls: list[str]) -> list[tuple[list[str], int, str, str, str]]:
        """For each call its words, exit code, stdout, stderr and what it died of."""
        paths = {
            "PYTHONPATH": self.folder / "lib",
            "BLUEFLEET_ETC": self.folder / "etc",
            "BLUEFLEET_LIB": self.folder / "var",
        }
        done = subprocess.run(
            [sys.executable, "-P", "-c", CODE],
            input=json.dumps(calls),
            env={**os.environ, **{name: str(path) for name, path in paths.items()}},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=50,
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
