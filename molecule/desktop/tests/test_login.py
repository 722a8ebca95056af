"""People come in with their key, nobody with a password; X11 comes through; nothing but SSH answers."""

import socket
import subprocess
from pathlib import Path

import pytest
from testinfra.host import Host

from conftest import Login

testinfra_hosts = ["ssh://desk", "ssh://old"]


def test_a_person_comes_in_with_a_key(login: Login) -> None:
    assert login("ada", "id -un").stdout.strip() == "ada"


def test_a_key_that_is_not_declared_admits_nobody(login: Login, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=60)
    add = f"mkdir -p -m 700 ~/.ssh && echo '{(tmp_path / 'key.pub').read_text().strip()}' >> ~/.ssh/authorized_keys"
    assert login("ada", add).returncode == 0
    refused = login("ada", "true", key=key)
    assert refused.returncode == 255
    assert "Permission denied (publickey)" in refused.stderr


def test_root_gives_away_no_folder_that_a_person_links_to(login: Login, host: Host) -> None:
    assert login("dora", "readlink ~/.ssh").stdout.strip() == "/etc/systemd/system"
    there = host.file("/etc/systemd/system")
    assert (there.user, there.mode) == ("root", 0o755)
    assert not host.file("/etc/systemd/system/authorized_keys").exists


def test_an_account_that_was_there_keeps_its_shell_and_joins_its_groups(host: Host) -> None:
    dora = host.user("dora")
    assert (dora.shell, dora.gecos) == ("/bin/sh", "")
    assert "users" in dora.groups
    assert host.user("ada").shell == "/bin/bash"


def test_nobody_comes_in_with_a_password(login: Login) -> None:
    refused = login("ada", "true", "-o", "PubkeyAuthentication=no")
    assert refused.returncode == 255
    assert "Permission denied (publickey)" in refused.stderr


def test_the_display_is_one_that_a_container_can_reach(host: Host, forwarding: str) -> None:
    assert forwarding.startswith(f"{host.backend.get_hostname()}:")


def test_the_display_is_not_open_to_other_hosts(host: Host, address: str, forwarding: str) -> None:
    port = 6000 + int(forwarding.partition(":")[2].partition(".")[0])
    assert host.socket(f"tcp://0.0.0.0:{port}").is_listening
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, port), 5)


def test_the_rules_were_loaded_at_boot_beside_those_of_others(host: Host) -> None:
    tables = host.check_output("nft list tables").splitlines()
    assert "table inet bluefleet" in tables
    assert "table ip nat" in tables  # the name server of the virtual host's network


def test_no_other_port_answers(address: str) -> None:
    # 5000 is the registry's: desk is its site's manager, too, and has none; the rules let the question through.
    for port in (25, 111, 443, 2375, 2376, 5000, 8080, 9093):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, port), 5)
