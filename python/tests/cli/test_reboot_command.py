"""A soft reboot: the manager asks, the control machine tells the node, and the manager hears how that went."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bluefleet.cli import _caller, reboot
from bluefleet.inventory import Connection

RUN = CliRunner()
# In the manager's place: asks for a node, and tells what it was answered.
ASKS = "import sys; print(sys.argv[1], flush=True); print(sys.stdin.readline(), end='')"


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for ssh that runs here what it was asked to run there, with `systemctl` and `sudo` of its own."""
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nfor last; do :; done\nexec sh -c "$last" > {tmp_path}/said 2>&1\n')
    (program.parent / "systemctl").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/rebooted\n')
    for name in ("ssh", "systemctl"):
        (program.parent / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return tmp_path


def converse(node: str, capfd: pytest.CaptureFixture[str]) -> dict[str, str]:
    command = [sys.executable, "-c", ASKS, _caller.asking(node)]
    assert _caller._converse(command, {"node1": Connection(address="10.0.0.1")}) == (0, True)
    return json.loads(capfd.readouterr().out)


def test_the_node_is_told_and_the_manager_hears_of_it(ssh: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert converse("node1", capfd) == {"wrong": ""}
    # It reboots after the answer.
    subprocess.run(["timeout", "5", "sh", "-c", f"until [ -e {ssh}/rebooted ]; do sleep 0.1; done"], check=True)
    assert (ssh / "rebooted").read_text() == "reboot\n"


def test_a_node_that_cannot_be_told_is_told_to_the_manager(ssh: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (ssh / "bin" / "ssh").write_text("#!/bin/sh\necho 'Permission denied' >&2; exit 255\n")
    assert converse("node1", capfd) == {"wrong": "over ssh to 10.0.0.1 it ended with 255: Permission denied"}
    assert "does not know it" in converse("node9", capfd)["wrong"]
    assert _caller.answered("") == "who called does not answer any more"
    assert _caller.answered('{"wrong": "so"}\n') == "so"


def test_on_the_manager_a_soft_reboot_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLUEFLEET_ETC", str(tmp_path))
    monkeypatch.delenv("BLUEFLEET_INVENTORY", raising=False)
    (tmp_path / "fleet.yml").write_text(
        "{schema_version: 1, site: lab, hosts: {node1: {address: 10.0.0.1}}, registry: null, images: {a: {reference: r/a}},"
        " nodes: [{name: node1, address: 10.0.0.1, instances: [{name: simple, image: a}]}]}"
    )
    for more in ([], ["--dry-run"]):
        found = RUN.invoke(reboot.app, ["node1", *more])
        assert (found.exit_code, "control machine" in found.stderr) == (2, True)
    # The control machine, which could do it, is told what would be done.
    asked = RUN.invoke(reboot.app, ["node1", "--dry-run", "--by-caller"])
    assert "would reboot: it is told to reboot" in asked.stderr
    found = RUN.invoke(reboot.app, ["simple", "--hard"])
    assert (found.exit_code, "node1/simple is no node" in found.stderr) == (2, True)
    assert RUN.invoke(reboot.app, []).exit_code == 2
