"""SSH keys of the laboratory: made once, handed to hosts, complete again after an interruption."""

import io
import tarfile
from pathlib import Path

import pytest
from ansible.module_utils.virtual_host_engine import VirtualHostError, archive_of, run
from ansible.module_utils.virtual_host_keys import Keys
from ansible.module_utils.virtual_host_plan import Host

NODE1 = Host("node1", "172.30.77.21")


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    made = Keys(tmp_path / "ssh")
    made.make(made.missing(["node1"]))
    return made


def test_keys_are_made_once(keys: Keys) -> None:
    before = keys.fingerprint("node1")
    assert keys.missing(["node1"]) == []
    assert keys.fingerprint("node1") == before != ""


def test_a_key_whose_half_is_lost_is_made_anew(keys: Keys) -> None:
    before = keys.fingerprint("node1")
    keys.user_key.with_name("id_ed25519.pub").unlink()
    assert keys.missing(["node1"]) == [keys.user_key]
    keys.make(keys.missing(["node1"]))
    assert keys.fingerprint("node1") not in ("", before)


def test_private_halves_are_for_their_owner_only(keys: Keys) -> None:
    assert keys.user_key.stat().st_mode & 0o077 == 0
    assert keys.host_key("node1").stat().st_mode & 0o077 == 0


def test_a_host_is_known_by_address_and_name(keys: Keys) -> None:
    assert keys.write_known_hosts([NODE1])
    assert keys.known_hosts.read_text().startswith("172.30.77.21,node1 ssh-ed25519 ")
    assert not keys.write_known_hosts([NODE1])


def test_what_a_host_is_given_belongs_to_root_and_has_the_modes_that_sshd_demands(keys: Keys) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive_of(keys.files("node1")))) as archive:
        members = {member.name: member for member in archive}
    assert members["etc/ssh/ssh_host_ed25519_key"].mode == 0o600
    assert members["root/.ssh/authorized_keys"].mode == 0o600
    assert {(member.uid, member.gid) for member in members.values()} == {(0, 0)}
    assert "root/.ssh/id_ed25519" not in members


def test_a_failing_command_is_told_with_its_stage_and_reason() -> None:
    with pytest.raises(VirtualHostError, match=r"^create node1: ls: .*No such file"):
        run(["ls", "/nowhere/at/all"], stage="create node1")


def test_a_missing_program_is_told_with_the_remedy() -> None:
    with pytest.raises(VirtualHostError, match=r"no program no-such-program here; run \.ci/bootstrap"):
        run(["no-such-program"], stage="look for hosts")


def test_a_command_that_hangs_is_given_up() -> None:
    with pytest.raises(VirtualHostError, match="gave no answer for 0 s"):
        run(["sleep", "30"], stage="stop node1", timeout=0.1)
