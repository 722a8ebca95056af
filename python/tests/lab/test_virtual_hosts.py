"""Virtual hosts: left alone when they are as they should be, mended when not, refused when they can't be."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_door import ADDRESSES, SUBNET, Converge, shell

from patience import PATIENCE

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
# More than any disk has.
HUGE_MB = 900_000_000


def step(tmp_path: Path, *arguments: str) -> Converge:
    """Run the virtual hosts' step alone."""
    return Converge(tmp_path / "stages.json", *arguments, playbook="playbooks/virtual_hosts.yml")


def containers() -> str:
    """The laboratory's containers by id, running or not."""
    return shell("docker", "ps", "--all", "--no-trunc", "--quiet", "--filter", "name=bluefleet-lab-").stdout


@pytest.fixture
def stopped_host() -> Iterator[str]:
    """A virtual host that is switched off; it is on again afterwards."""
    shell("docker", "stop", "bluefleet-lab-node2")
    yield "bluefleet-lab-node2"
    shell("docker", "start", "bluefleet-lab-node2")


# A second try would come after the step that mended what it should have left alone.
@pytest.mark.flaky(reruns=0)
def test_hosts_that_run_are_left_alone(tmp_path: Path) -> None:
    before = containers()
    assert step(tmp_path).finish().well().changed() == {}
    assert containers() == before


@pytest.mark.faults
def test_a_host_that_was_switched_off_is_started_and_not_made_anew(tmp_path: Path, stopped_host: str) -> None:
    before = containers()
    assert step(tmp_path).finish().well().changed() == {"localhost": 1}
    assert containers() == before
    assert shell("docker", "inspect", "--format", "{{.State.Status}}", stopped_host).stdout.strip() == "running"


def test_addresses_in_use_on_this_machine_are_refused(tmp_path: Path) -> None:
    refused = step(tmp_path, "-e", "virtual_host_network=bluefleet-nobody").finish()
    assert refused.code != 0
    assert f"{SUBNET} is in use on this machine" in refused.text
    assert "set virtual_host_subnet" in refused.text
    assert shell("docker", "network", "ls", "--quiet", "--filter", "name=bluefleet-nobody").stdout == ""


def test_too_little_disk_is_found_before_anything_is_made(tmp_path: Path) -> None:
    variables = {
        "virtual_host_names": [*ADDRESSES, "localhost"],
        "_virtual_host_addresses": [*ADDRESSES.values(), "172.30.77.99"],
        "virtual_host_space_mb": HUGE_MB,
    }
    before = containers()
    refused = step(tmp_path, "-e", json.dumps(variables)).finish()
    assert refused.code != 0
    assert f"not enough disk: 1 new hosts need {HUGE_MB} MB" in refused.text
    assert "MB are free" in refused.text
    assert containers() == before


@pytest.mark.parametrize("setting", ["vm/swappiness", "kernel/core_pattern"])
def test_what_is_the_machines_own_a_virtual_host_may_not_change(setting: str) -> None:
    path = Path("/proc/sys") / setting
    before = path.read_text()
    refused = subprocess.run(
        ["docker", "exec", "bluefleet-lab-node1", "sh", "-c", f"cat {path} > {path}"],
        capture_output=True,
        text=True,
        timeout=30 * PATIENCE,
        check=False,
    )
    assert refused.returncode != 0
    assert path.read_text() == before
