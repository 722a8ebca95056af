"""Virtual hosts on bad days: what is refused, what is mended."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Run

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
ROOT = Path(__file__).resolve().parents[3]
STEP = "playbooks/virtual_hosts.yml"
# A laboratory that is never made: its names and addresses are nobody's.
OTHER_NAME = ("-e", "virtual_host_network=bluefleet-nobody")


def docker(*arguments: str) -> str:
    """Ask the control machine's engine."""
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=120, check=True
    ).stdout.strip()


def state(host: str) -> str:
    """State of a host's container."""
    return docker("inspect", "--format", "{{.State.Status}}", f"bluefleet-lab-{host}")


@pytest.fixture
def stopped_node() -> Iterator[str]:
    """A node that is switched off; it is on again afterwards."""
    docker("stop", "bluefleet-lab-node2")
    yield "node2"
    docker("start", "bluefleet-lab-node2")


def test_hosts_that_run_are_left_alone_quickly(play: Callable[..., Run]) -> None:
    before = docker("ps", "--no-trunc", "--quiet", "--filter", "name=bluefleet-lab-")
    again = play(STEP)
    assert again.code == 0, again.text[-2000:]
    assert again.changed() == {}
    assert docker("ps", "--no-trunc", "--quiet", "--filter", "name=bluefleet-lab-") == before


def test_a_second_checkout_is_refused_and_told_whose_laboratory_runs(play: Callable[..., Run]) -> None:
    refused = play(STEP, "-e", "_virtual_host_checkout=/somewhere/else")
    assert refused.code != 0
    assert f"{ROOT} has its own laboratory running here under the name bluefleet-lab" in refused.text
    assert "make lab-down" in refused.text


def test_addresses_in_use_on_this_machine_are_refused(play: Callable[..., Run]) -> None:
    refused = play(STEP, *OTHER_NAME)
    assert refused.code != 0
    assert "172.30.77.0/24 is in use on this machine" in refused.text
    assert "set virtual_host_subnet" in refused.text


def test_too_little_disk_is_found_before_anything_is_made(play: Callable[..., Run]) -> None:
    # The same network, so that its addresses are no obstacle, and a fifth host to be made in it.
    fifth = (
        '{"virtual_host_names": ["manager", "data", "node1", "node2", "localhost"], "virtual_host_space_mb": 900000000}'
    )
    refused = play(
        STEP,
        "-e",
        fifth,
        "-e",
        '{"_virtual_host_addresses": ["172.30.77.10", "172.30.77.11", "172.30.77.21", "172.30.77.22", "172.30.77.99"]}',
    )
    assert refused.code != 0
    assert "not enough disk: 1 new hosts need 900000000 MB" in refused.text
    assert "MB are free" in refused.text
    assert docker("ps", "--all", "--quiet", "--filter", "name=bluefleet-lab-localhost") == ""


def test_a_host_that_was_switched_off_is_started_with_its_data(play: Callable[..., Run], stopped_node: str) -> None:
    container = docker("inspect", "--format", "{{.Id}}", f"bluefleet-lab-{stopped_node}")
    mended = play(STEP)
    assert mended.code == 0, mended.text[-2000:]
    assert mended.changed() == {"localhost": 1}
    assert state(stopped_node) == "running"
    assert docker("inspect", "--format", "{{.Id}}", f"bluefleet-lab-{stopped_node}") == container


def test_a_node_that_is_off_fails_alone_and_a_second_run_completes(play: Callable[..., Run], stopped_node: str) -> None:
    partly = play("site.yml", "--tags", "hosts,engines")
    assert partly.code != 0
    assert partly.told["hosts"][stopped_node]["unreachable"] == 1
    others = {host: counts for host, counts in partly.told["hosts"].items() if host != stopped_node}
    assert all(counts["failures"] == counts["unreachable"] == 0 for counts in others.values()), partly.text[-3000:]
    assert any(failure.startswith("hosts: node2 does not answer") for failure in partly.told["failures"])

    docker("start", f"bluefleet-lab-{stopped_node}")
    completed = play("site.yml", "--tags", "virtual_hosts,hosts,engines")
    assert completed.code == 0, completed.text[-3000:]


def test_what_a_virtual_host_may_not_change_is_the_machines_own() -> None:
    setting = Path("/proc/sys/vm/swappiness")
    before = setting.read_text()
    refused = subprocess.run(
        ["docker", "exec", "bluefleet-lab-node1", "sh", "-c", "echo 1 > /proc/sys/vm/swappiness"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert refused.returncode != 0
    assert setting.read_text() == before
