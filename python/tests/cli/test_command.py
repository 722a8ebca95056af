"""The command on the control machine: quick to start, and a thin door to the manager."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bluefleet.checkout import find_checkout
from bluefleet.cli.main import VERBS
from bluefleet.cli.remote import ssh_command
from bluefleet.inventory import Connection

PROGRAM = Path(sys.executable).with_name("bluefleet")

# Ansible renders the inventory first: 3 s, several times that where lint and image builds run beside it.
pytestmark = pytest.mark.timeout(180)


def bluefleet(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    return subprocess.run(
        [PROGRAM, *words],
        env={**os.environ, **environment},
        cwd=find_checkout(),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the laboratory's inventory with nothing made for it yet."""
    folder = tmp_path_factory.mktemp("inventories") / "lab"
    shutil.copytree(find_checkout() / "inventories" / "lab", folder, ignore=shutil.ignore_patterns(".state"))
    return folder


@pytest.fixture
def ssh(tmp_path: Path) -> Path:
    """A stand-in for ssh that writes what it was asked to do, and ends as it is told to."""
    program = tmp_path / "ssh"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$0.asked"\necho from there\nexit "${SSH_ENDS_WITH:-0}"\n')
    program.chmod(0o755)
    return program


def test_help_names_every_verb_and_loads_none_of_them():
    listed = bluefleet("--help").stdout
    for name, verb in VERBS.items():
        assert (f"  {name} " in listed) != verb.hidden
    code = "import sys; from bluefleet.cli.main import build; build([]); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "yaml", "docker", "ansible", "numpy"} & set(loaded)


def test_a_verb_runs_on_the_manager_with_its_own_words_streams_and_exit_code(laboratory, ssh):
    path = f"{ssh.parent}:{os.environ['PATH']}"
    done = bluefleet("-i", laboratory, "status", "--json", "node 1", PATH=path, SSH_ENDS_WITH="3")
    assert (done.returncode, done.stdout) == (3, "from there\n"), done.stderr
    asked = Path(f"{ssh}.asked").read_text().splitlines()
    assert asked[-3:] == ["172.30.77.10", "--", "bluefleet status --json 'node 1'"]
    assert f"UserKnownHostsFile={laboratory}/.state/ssh/known_hosts" in asked
    assert str(laboratory / ".state" / "ssh" / "id_ed25519") in asked


def test_a_command_for_an_instance_arrives_as_it_was_typed(laboratory, ssh):
    path = f"{ssh.parent}:{os.environ['PATH']}"
    done = bluefleet("-i", laboratory, "exec", "-it", "node1/camera", "df", "-h", "/a b", PATH=path)
    assert (done.returncode, done.stdout) == (0, "from there\n"), done.stderr
    asked = Path(f"{ssh}.asked").read_text().splitlines()
    assert asked[-1] == "bluefleet exec -it node1/camera df -h '/a b'"


def test_a_manager_that_cannot_be_reached_is_told_in_three_lines(laboratory, ssh):
    path = f"{ssh.parent}:{os.environ['PATH']}"
    done = bluefleet("-i", laboratory, "status", PATH=path, SSH_ENDS_WITH="255")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 3
    assert "manager (172.30.77.10)" in done.stderr


def test_a_manager_without_the_command_is_told_to_be_converged(laboratory, ssh):
    path = f"{ssh.parent}:{os.environ['PATH']}"
    done = bluefleet("-i", laboratory, "status", PATH=path, SSH_ENDS_WITH="127")
    assert done.returncode == 1
    assert "no command `bluefleet` yet" in done.stderr
    assert "site.yml" in done.stderr


def test_ssh_trusts_known_hosts_only_and_does_not_wait_for_ever():
    words = ssh_command(
        Connection(address="10.0.0.1", port=2222, user="ops", arguments="-o 'ProxyJump=a b'"), ["status"]
    )
    text = " ".join(words)
    assert "StrictHostKeyChecking=yes" in text
    assert "ConnectTimeout=" in text
    assert "ServerAliveInterval=" in text
    assert "ProxyJump=a b" in words
    assert words[words.index("-p") + 1] == "2222"


def test_a_manager_that_is_this_machine_needs_no_ssh():
    assert ssh_command(Connection(local=True, address="localhost"), ["status"]) == ["bluefleet", "status"]


def test_site_prints_one_json_object_and_nothing_else(laboratory):
    done = bluefleet("site", "-i", laboratory, "--json")
    assert done.returncode == 0, done.stderr
    site = json.loads(done.stdout)
    assert set(site) == {"schema_version", "site", "hosts", "edge", "fleet", "tiled", "kafka"}
    assert set(site["edge"]) == {"url", "ca_file", "queue_api_key_file"}
    assert set(site["fleet"]) == {"url", "token_file"}
    assert set(site["tiled"]) == {"url", "api_key_file"}
    assert set(site["kafka"]) == {"bootstrap", "ca_file", "username", "password_file", "topic"}


def test_the_inventory_may_be_given_before_or_after_the_verb_or_in_the_environment(laboratory):
    before = bluefleet("-i", laboratory, "site", "--json").stdout
    assert before == bluefleet("site", "-i", laboratory, "--json").stdout
    assert before == bluefleet("site", "--json", BLUEFLEET_INVENTORY=str(laboratory)).stdout
    assert str(laboratory) in before


def test_validate_ends_with_2_and_names_the_line(laboratory):
    (laboratory / "group_vars" / "nodes.yml").write_text("docker_engine_transprot: tls\n")
    done = bluefleet("validate", "-i", laboratory, "--json")
    assert done.returncode == 2
    finding = json.loads(done.stdout)["findings"][0]
    assert (Path(finding["file"]).name, finding["line"], finding["value"]) == ("nodes.yml", 1, "tls")
    assert "Did you mean 'docker_engine_transport'?" in finding["remedy"]


def test_an_inventory_that_is_not_there_is_told_by_name(tmp_path):
    done = bluefleet("validate", "-i", tmp_path / "beamline9")
    assert done.returncode == 2
    assert "beamline9/hosts.yml" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_verb_is_refused():
    assert bluefleet("stauts").returncode == 2
