"""The command on the control machine: quick to start, and a thin door to the manager."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bluefleet.checkout import find_checkout
from bluefleet.cli.main import VERBS, build
from bluefleet.cli.remote import call_manager, ssh_command
from bluefleet.inventory import Connection
from patience import PATIENCE

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
        timeout=150 * PATIENCE,
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
    """A stand-in for ssh that writes what it was asked to do, is let in unless told otherwise, and ends as it is told to."""
    program = tmp_path / "ssh"
    program.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$@" > "$0.asked"\n'
        'for word; do case $SSH_REFUSED$word in LocalCommand=*) sh -c "${word#*=}" ;; esac; done\n'
        'printf %b "${SSH_SAYS-from there\\n}"\nexit "${SSH_ENDS_WITH:-0}"\n'
    )
    program.chmod(0o755)
    return program


def test_help_names_every_verb_and_loads_none_of_them():
    listed = bluefleet("--help").stdout
    for name, verb in VERBS.items():
        assert (f"  {name} " in listed) != verb.hidden
    code = "import sys; from bluefleet.cli.main import build; build([]); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "yaml", "docker", "ansible", "numpy"} & set(loaded)


@pytest.mark.parametrize("verb", [[], ["validate"], ["site"], ["first-scan"], ["examples"]], ids=" ".join)
def test_before_the_verb_and_behind_it_a_site_is_a_folder(verb):
    words = CliRunner().invoke(build([*verb, "--help"]), [*verb, "--help"]).stdout
    assert "-i, --inventory FOLDER" in words


@pytest.mark.slow
def test_a_verb_runs_on_the_manager_with_its_own_words_streams_and_exit_code(laboratory, ssh):
    path = f"{ssh.parent}:{os.environ['PATH']}"
    done = bluefleet("-i", laboratory, "status", "--json", "node 1", PATH=path, SSH_ENDS_WITH="3")
    assert (done.returncode, done.stdout) == (3, "from there\n"), done.stderr
    asked = Path(f"{ssh}.asked").read_text().splitlines()
    assert asked[-3:] == ["172.30.77.10", "--", "bluefleet status --json 'node 1'"]
    assert f"UserKnownHostsFile={laboratory}/.state/ssh/known_hosts" in asked
    assert str(laboratory / ".state" / "ssh" / "id_ed25519") in asked


@pytest.mark.slow
def test_a_command_for_an_instance_arrives_as_it_was_typed(laboratory, ssh):
    path = f"{ssh.parent}:{os.environ['PATH']}"
    done = bluefleet("-i", laboratory, "exec", "-it", "node1/camera", "df", "--", "-h", "/a b", PATH=path)
    assert (done.returncode, done.stdout) == (0, "from there\n"), done.stderr
    asked = Path(f"{ssh}.asked").read_text().splitlines()
    assert asked[-1] == "bluefleet exec -it node1/camera df -- -h '/a b'"


@pytest.mark.slow
def test_a_command_inside_an_instance_may_end_as_ssh_does_without_a_connection(laboratory, ssh):
    path = f"{ssh.parent}:{os.environ['PATH']}"
    done = bluefleet("-i", laboratory, "exec", "cam1", "sh", "-c", "exit 255", PATH=path, SSH_ENDS_WITH="255")
    assert (done.returncode, done.stderr) == (255, "")


def test_a_manager_that_cannot_be_reached_is_told_in_three_lines(laboratory, ssh):
    path = f"{ssh.parent}:{os.environ['PATH']}"
    done = bluefleet("-i", laboratory, "status", PATH=path, SSH_ENDS_WITH="255", SSH_REFUSED="x")
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


def test_a_manager_that_is_this_machine_is_asked_once_and_without_a_site(tmp_path, monkeypatch, capfd):
    """The command there may be this same one: with a site chosen it would call itself for ever."""
    program = tmp_path / "bluefleet"
    program.write_text('#!/bin/sh\necho "$* for ${BLUEFLEET_INVENTORY-no site}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("BLUEFLEET_INVENTORY", "inventories/lab")
    here = Connection(local=True, address="localhost")
    assert call_manager(here, ["status"]) == (0, False)
    assert capfd.readouterr().out == "status for no site\n"
    program.unlink()
    assert call_manager(here, ["status"]) == (127, False)


def test_a_machine_without_ansible_or_ssh_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    folder = tmp_path / "hill"
    shutil.copytree(find_checkout() / "inventories" / "example", folder, ignore=shutil.ignore_patterns(".state"))
    words = ["site", "-i", str(folder)]
    done = CliRunner().invoke(build(words), words)
    assert done.exit_code == 2
    assert "there is no ansible-playbook on this machine" in done.stderr
    with pytest.raises(typer.Exit):
        call_manager(Connection(address="10.0.0.1"), ["status"])


def test_site_prints_one_json_object_and_nothing_else(laboratory):
    done = bluefleet("site", "-i", laboratory, "--json")
    assert done.returncode == 0, done.stderr
    site = json.loads(done.stdout)
    assert set(site) == {"schema_version", "site", "hosts", "edge", "fleet", "tiled", "jupyter", "kafka"}
    assert set(site["edge"]) == {"url", "ca_file", "queue_api_key_file"}
    assert set(site["fleet"]) == {"url", "token_file"}
    assert set(site["tiled"]) == {"url", "reader_key_file", "api_key_file"}
    assert set(site["jupyter"]) == {"url", "password_file"}
    assert set(site["kafka"]) == {"bootstrap", "ca_file", "username", "password_file", "topic"}


@pytest.mark.slow
def test_the_inventory_may_be_given_before_or_after_the_verb_or_in_the_environment(laboratory):
    before = bluefleet("-i", laboratory, "site", "--json").stdout
    assert before == bluefleet("site", "-i", laboratory, "--json").stdout
    assert before == bluefleet("site", "--json", BLUEFLEET_INVENTORY=str(laboratory)).stdout
    assert str(laboratory) in before


@pytest.mark.slow
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
    assert "there is no folder" in done.stderr
    assert "beamline9" in done.stderr
    done = bluefleet("-i", "inventories/exmple", "status")
    assert done.returncode == 2
    assert f"there is no folder {find_checkout()}/inventories/exmple" in done.stderr
    assert f"Did you mean {find_checkout()}/inventories/example?" in done.stderr
    assert "validate" not in done.stderr


@pytest.mark.parametrize(
    ("said", "code", "ends", "what"),
    [
        ("", 255, 1, "cannot be reached by SSH"),
        ("", 127, 1, "no command `bluefleet` yet"),
        ("", 1, 1, "ended with exit code 1 and gave no answer"),
        (
            '{"schema_version": 1, "ok"',
            255,
            1,
            "the connection to the manager ended while `bluefleet status --json` ran",
        ),
    ],
    ids=["unreachable", "no command", "no answer", "cut off"],
)
def test_with_json_what_ssh_met_is_one_object(laboratory, ssh, said, code, ends, what):  # noqa: PLR0917 (cases)
    path = f"{ssh.parent}:{os.environ['PATH']}"
    refused = "yes" if code == 255 and not said else ""
    environment = {"SSH_SAYS": said, "SSH_ENDS_WITH": str(code), "SSH_REFUSED": refused}
    done = bluefleet("-i", laboratory, "status", "--json", PATH=path, **environment)
    told = json.loads(done.stdout)
    assert (done.returncode, told["schema_version"], told["ok"]) == (ends, 1, False)
    assert what in told["error"]["what"]
    assert "manager (172.30.77.10)" in told["error"]["where"]


def test_with_json_the_managers_own_object_is_the_only_one(laboratory, ssh):
    path = f"{ssh.parent}:{os.environ['PATH']}"
    told = '{"schema_version": 1, "ok": false, "error": {}}\n'
    done = bluefleet("-i", laboratory, "status", "--json", PATH=path, SSH_SAYS=told, SSH_ENDS_WITH="2")
    assert (done.returncode, done.stdout) == (2, told)


def test_without_json_nothing_is_added_to_what_the_manager_says(laboratory, ssh):
    path = f"{ssh.parent}:{os.environ['PATH']}"
    done = bluefleet("-i", laboratory, "status", PATH=path, SSH_SAYS="", SSH_ENDS_WITH="1")
    assert (done.returncode, done.stdout) == (1, "")


def test_a_command_that_an_instance_does_not_have_is_not_taken_for_ours(laboratory, ssh):
    path = f"{ssh.parent}:{os.environ['PATH']}"
    done = bluefleet("-i", laboratory, "exec", "ioc", "nosuch", PATH=path, SSH_ENDS_WITH="127")
    assert (done.returncode, done.stderr) == (127, "")


def test_an_unknown_verb_is_refused():
    assert bluefleet("stauts").returncode == 2


@pytest.fixture
def no_inventory(tmp_path: Path) -> Path:
    """A folder with a program and a page, as every checkout has."""
    program = tmp_path / "tool"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\necho '{{}}'\n")
    program.chmod(0o755)
    (tmp_path / "README.md").write_text("# A page\n")
    return tmp_path


@pytest.mark.parametrize("given", [".", "README.md"])
@pytest.mark.parametrize("verb", ["status", "validate", "site"])
def test_what_is_no_inventory_is_refused_and_nothing_in_it_is_run(no_inventory: Path, verb: str, given: str) -> None:
    done = bluefleet("-i", no_inventory / given, verb)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "is no inventory: no hosts.yml is in it" in done.stderr
    assert not (no_inventory / "ran").exists()


def test_ansible_runs_no_program_that_lies_in_an_inventory(no_inventory: Path) -> None:
    (no_inventory / "hosts.yml").write_text("all: {hosts: {one: {}}}\n")
    listed = subprocess.run(
        [Path(sys.executable).with_name("ansible-inventory"), "-i", no_inventory, "--list"],
        cwd=find_checkout(), capture_output=True, text=True, check=True, timeout=60 * PATIENCE,
    )  # fmt: skip
    assert "one" in listed.stdout
    assert not (no_inventory / "ran").exists()


def test_an_option_before_its_verb_is_told_in_json_too() -> None:
    done = bluefleet("--json", "status")
    assert done.returncode == 2
    assert json.loads(done.stdout)["ok"] is False
