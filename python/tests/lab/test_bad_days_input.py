"""Bad input ends in one clear refusal, before any host is touched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_door import ADDRESSES, BIN, LAB, ROOT, Converge, another_inventory, change, on, shell

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]


def our_containers() -> list[str]:
    """The containers of this checkout's laboratory that run."""
    return shell("docker", "ps", "--no-trunc", "--quiet", "--filter", f"label=org.bluefleet.lab={ROOT}").stdout.split()


def logins() -> dict[str, int]:
    """How often somebody logged in by SSH, by host."""
    command = "journalctl --unit ssh.service --grep 'Accepted publickey' --quiet | wc -l"
    return {host: int(on(host, command)) for host in ADDRESSES}


@pytest.mark.faults
def test_a_typo_and_a_wrong_ca_bundle_are_refused_and_no_host_is_touched(tmp_path: Path) -> None:
    inventory = another_inventory(tmp_path)
    site = inventory / "group_vars/all/site.yml"
    change(site, "site_name: lab\n", "site_name: lab\nsite_ca_bundel: /etc/hostname\n")
    kept = site.read_text(encoding="utf-8").partition("site_ca_bundle:")[0]
    site.write_text(f"{kept}site_ca_bundle: {tmp_path}/none.crt\n", encoding="utf-8")
    before = logins()
    refused = Converge(tmp_path / "stages.json", inventory=inventory).finish(60)
    assert refused.code != 0
    assert "group_vars/all/site.yml:2" in refused.text, refused.text
    assert "site_ca_bundel" in refused.text
    assert "Did you mean 'site_ca_bundle'" in refused.text, refused.text
    assert "no such file" in refused.text, refused.text
    assert "2 things are wrong" in refused.text
    assert "no host was touched" in refused.text
    assert set(refused.changed()) <= {"localhost"}
    assert list(refused.told["seconds"]) == ["validate"]
    assert logins() == before


@pytest.fixture
def second_checkout(tmp_path: Path) -> Iterator[Path]:
    """Another checkout of this project on this machine, with the same tools and without any state."""
    folder = tmp_path / "second"
    shutil.copytree(
        ROOT, folder, ignore=shutil.ignore_patterns(".venv", ".cache", ".state", ".git", "__pycache__", "*_cache")
    )
    (folder / ".venv").symlink_to(ROOT / ".venv")
    yield folder
    made = shell("docker", "ps", "--all", "--quiet", "--filter", f"label=org.bluefleet.lab={folder}").stdout
    assert made == "", "the second checkout made hosts"


def test_a_second_checkout_is_refused_and_told_whose_laboratory_runs(tmp_path: Path, second_checkout: Path) -> None:
    before = our_containers()
    refused = Converge(
        tmp_path / "stages.json",
        *("--tags", "images,virtual_hosts"),
        inventory=second_checkout / "inventories/lab",
        checkout=second_checkout,
    ).finish(120)
    assert refused.code != 0
    assert not (second_checkout / "inventories/lab/.state/builds/background.jsonl").exists(), "images were begun"
    assert f"{ROOT} has its own laboratory running here under the name bluefleet-lab" in refused.text, refused.text
    assert "make lab-down" in refused.text
    assert set(refused.changed()) <= {"localhost"}
    assert "Failed in room: localhost" in refused.text, "it went on to the hosts"
    assert our_containers() == before


def test_taking_the_second_checkout_down_leaves_the_first_ones_laboratory_alone(
    tmp_path: Path, second_checkout: Path
) -> None:
    before = our_containers()
    removed = Converge(
        tmp_path / "stages.json",
        playbook="playbooks/remove_virtual_hosts.yml",
        inventory=second_checkout / "inventories/lab",
        checkout=second_checkout,
    ).finish(60)
    assert removed.well().changed() == {}
    assert our_containers() == before


def test_the_control_machine_has_no_port_in_use_by_the_laboratory() -> None:
    """So none can be in its way; what can be in use is its subnet (test_virtual_hosts.py)."""
    containers = our_containers()
    bound = shell("docker", "inspect", "--format", "{{json .HostConfig.PortBindings}}", *containers).stdout.split()
    # The hosts, and their power unit.
    assert len(containers) == len(ADDRESSES) + 1
    assert [json.loads(each) for each in bound] == [{}] * len(containers)


def test_a_wrong_inventory_folder_is_refused_in_words(tmp_path: Path) -> None:
    answer = shell(
        str(BIN / "bluefleet"), "validate", "--static", "--inventory", str(tmp_path / "nowhere"), check=False
    )
    assert answer.returncode == 2, answer.stdout + answer.stderr
    assert "nowhere" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert LAB.is_dir()
