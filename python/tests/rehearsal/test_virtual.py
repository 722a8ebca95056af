"""What has a hypervisor runs as it is, so every host in it must be virtual beyond doubt."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import yaml

from bluefleet.checkout import find_checkout
from bluefleet.inventory import Inventory
from bluefleet.rehearsal import Subnet, not_virtual, rehearse, write
from bluefleet.rehearsal.__main__ import main

TOP = find_checkout()
LABORATORY = Inventory(TOP / "inventories" / "lab")


def copied(name: str, folder: Path) -> Path:
    shutil.copytree(TOP / "inventories" / name, folder, ignore=shutil.ignore_patterns(".state"))
    return folder


def asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["rehearsal", str(folder)])
    return main()


def test_a_site_with_a_hypervisor_is_refused_and_never_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied("example", tmp_path / "mysite")
    hosts = (folder / "hosts.yml").read_text()
    (folder / "hosts.yml").write_text(
        hosts.replace("hypervisor:\n  hosts: {}", "hypervisor:\n  hosts:\n    localhost:", 1)
    )
    assert asked(folder, monkeypatch) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "192.0.2.10" in told.err
    assert "no host was touched" in told.err


def test_a_laboratory_of_ones_own_is_its_own_rehearsal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied("lab", tmp_path / "mylab")
    assert asked(folder, monkeypatch) == 0
    assert capsys.readouterr().out == f"{folder}\n"


def test_a_rehearsal_is_virtual(tmp_path: Path) -> None:
    made = rehearse(Inventory(TOP / "inventories" / "example"), LABORATORY, TOP, Subnet("172.30.78.0/24"), {})
    write(made, tmp_path / "out")
    assert list(not_virtual(Inventory(tmp_path / "out"), LABORATORY)) == []


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        ("host_vars/data.yml", "ansible_host: 192.0.2.11\n", "outside virtual_host_subnet"),
        ("host_vars/data.yml", "ansible_host: data.example.org\n", "outside virtual_host_subnet"),
        ("group_vars/data.yml", "ansible_host: '{{ local_address }}'\n", "outside virtual_host_subnet"),
        ("group_vars/hypervisor.yml", "virtual_host_names: [manager]\n", "is not in it, so it is a real one"),
        ("group_vars/hypervisor.yml", "virtual_host_names: '{{ local_names }}'\n", "is not in it"),
        ("group_vars/hypervisor.yml", "virtual_host_subnet: '{{ local_net }}'\n", "no IPv4 network"),
        ("group_vars/hypervisor.yml", "ansible_connection: ssh\n", "another way"),
        ("group_vars/all/way.yml", "ansible_ssh_common_args: -o ProxyJump=gate\n", "another way"),
        ("host_vars/data.yml", "ansible_ssh_host: 192.0.2.11\n", "another way"),
        ("group_vars/all/vault.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n", "encrypted"),
        ("more.ini", "[nodes]\nreal ansible_host=192.0.2.11\n", "further hosts"),
        ("hosts.yaml", "nodes: {hosts: {real: {ansible_host: 192.0.2.11}}}\n", "further hosts"),
    ],
)
def test_what_may_be_a_real_host_is_named(tmp_path: Path, path: str, text: str, says: str) -> None:
    folder = copied("lab", tmp_path / "mylab")
    (folder / path).write_text(text)
    findings = list(not_virtual(Inventory(folder), LABORATORY))
    assert [found for found in findings if says in found.says and found.file == folder / path]


@pytest.mark.parametrize("group", ["hypervisor", "image_builder"])
def test_another_machine_makes_no_hosts_or_images(tmp_path: Path, group: str) -> None:
    folder = copied("lab", tmp_path / "mylab")
    hosts = yaml.safe_load((folder / "hosts.yml").read_text())
    hosts[group]["hosts"]["big"] = {"ansible_host": "172.30.77.9"}
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
    (finding,) = not_virtual(Inventory(folder), LABORATORY)
    assert finding.host == "big"
    assert "must be this machine" in finding.says


def test_a_host_without_an_address_is_reached_by_its_name(tmp_path: Path) -> None:
    folder = copied("lab", tmp_path / "mylab")
    hosts = yaml.safe_load((folder / "hosts.yml").read_text())
    hosts["nodes"]["hosts"]["real"] = None
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
    (finding,) = not_virtual(Inventory(folder), LABORATORY)
    assert (finding.host, finding.variable) == ("real", "ansible_host")
