"""A soft reboot on the manager: the node is told over ssh as site.yml wrote it down, and what goes wrong is told."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bluefleet.cli import reboot
from bluefleet.cli.main import VERBS

RUN = CliRunner()
SITE = """
schema_version: 1
site: lab
hosts: {boss: {address: 10.0.0.9, groups: [manager, nodes]}, node1: {address: 127.0.0.1, groups: [nodes]}}
registry: null
images: {a: {reference: r/a}}
nodes:
  - {name: node1, address: 127.0.0.1, port: 1, transport: plain, instances: [{name: simple, image: a}]}
  - {name: boss, address: 127.0.0.1, port: 1, transport: plain, power: {command: [outlet, "{action}"], off_seconds: 0}}
"""


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its folder, with an ssh and an outlet that write down what they were asked and do not get through."""
    for name, folder in {"BLUEFLEET_ETC": "etc", "BLUEFLEET_LIB": "lib"}.items():
        (tmp_path / folder).mkdir()
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.delenv("BLUEFLEET_INVENTORY", raising=False)
    (tmp_path / "etc" / "fleet.yml").write_text(SITE)
    client = tmp_path / "etc" / "pki" / "reboot-client"
    client.mkdir(parents=True)
    (client / "ssh_config").touch()
    (tmp_path / "bin").mkdir()
    for name in ("ssh", "outlet"):
        program = tmp_path / "bin" / name
        program.write_text(
            f'#!/bin/sh\necho "$@" > {tmp_path}/asked\necho "Permission denied (publickey)." >&2\nexit 255\n'
        )
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return tmp_path


def said(*words: str) -> Result:
    return RUN.invoke(reboot.app, list(words))


def test_a_node_is_told_with_the_key_for_it_and_its_refusal_is_told(manager: Path) -> None:
    found = said("node1")
    assert found.exit_code == 1
    assert (manager / "asked").read_text() == f"-F {manager}/etc/pki/reboot-client/ssh_config -T node1\n"
    assert "ssh ended with 255: Permission denied (publickey)." in found.output
    assert "site.yml" in found.output
    assert "bluefleet reboot --hard node1" in found.output


def test_a_manager_that_has_no_key_says_what_to_do(manager: Path) -> None:
    (manager / "etc" / "pki" / "reboot-client" / "ssh_config").unlink()
    found = said("node1")
    assert (found.exit_code, "reboot-client/ssh_config: run site.yml" in found.output) == (1, True)
    assert not (manager / "asked").exists()


@pytest.mark.parametrize("words", [[], ["--hard"], ["--dry-run"], ["--hard", "--dry-run"]], ids=" ".join)
def test_the_manager_does_not_reboot_itself_nor_says_that_it_would(manager: Path, words: list[str]) -> None:
    found = said("boss", *words)
    assert (found.exit_code, "it is the manager itself" in found.output) == (1, True)
    assert "Reboot boss by hand" in found.output
    assert "would reboot" not in found.output
    assert not (manager / "asked").exists()


def test_a_dry_run_tells_nobody(manager: Path) -> None:
    found = said("node1", "--dry-run")
    assert "would reboot: it is told to reboot" in found.stderr
    assert not (manager / "asked").exists()


@pytest.mark.usefixtures("manager")
def test_nodes_are_rebooted_and_no_instances_and_not_nothing() -> None:
    found = said("simple", "--hard")
    assert (found.exit_code, "node1/simple is no node" in found.stderr) == (2, True)
    assert said().exit_code == 2


def test_from_the_control_machine_it_goes_to_the_manager_as_every_verb_does() -> None:
    assert not VERBS["reboot"].runs_here(["node1"])
