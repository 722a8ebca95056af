"""The door is opened a second time: nothing changes, whichever strategy and mode."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_door import ADDRESSES, Converge, assert_all_is_well, bluefleet, on, unattended

# A second try would be the third converge, which is another claim.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(600), pytest.mark.flaky(reruns=0)]


def test_a_second_converge_changes_nothing(tmp_path: Path) -> None:
    again = Converge(tmp_path / "stages.json").finish().well()
    assert set(again.told["hosts"]) == {"localhost", *ADDRESSES}
    assert again.changed() == {}


@pytest.mark.minutes
def test_a_converge_without_mitogen_changes_nothing_either(tmp_path: Path) -> None:
    linear = ("env", "ANSIBLE_STRATEGY=linear")
    assert Converge(tmp_path / "stages.json", prefix=linear).finish().well().changed() == {}


def test_the_drift_report_of_a_converged_site_is_empty(tmp_path: Path) -> None:
    assert Converge(tmp_path / "stages.json", "--check", "--diff").finish().well().changed() == {}


@pytest.fixture
def changed_by_hand() -> Iterator[str]:
    """A line in a file of node1 that nobody declared, and an instance of node2 that is gone; both are mended afterwards."""
    file = "/etc/docker/daemon.json"
    with unattended():
        # With its time: a file that is newer than the engine would have the engine restarted by the next converge.
        on("node1", f"cp --preserve {file} {file}.kept")
        try:
            on("node1", f"echo >>{file}")
            on("node2", "docker rm --force bluefleet-random-walk")
            yield file
        finally:
            on("node1", f"mv {file}.kept {file}")
            applied = bluefleet("apply", "node2")
    assert applied.returncode == 0, applied.stderr
    assert_all_is_well()


@pytest.mark.faults
@pytest.mark.minutes
def test_the_drift_report_tells_what_was_changed_by_hand_and_mends_nothing(
    tmp_path: Path, changed_by_hand: str
) -> None:
    report = Converge(tmp_path / "stages.json", "--check", "--diff", "--tags", "engines,fleet").finish().well()
    assert set(report.changed()) == {"manager", "node1"}
    assert f"+++ after: {changed_by_hand}" in report.text
    applying = r"TASK \[fleet : Nodes run what is declared, and the queue knows its devices\] \*+ changed: \[manager\]"
    assert re.search(applying, report.text), report.text[-3000:]
    on("node1", f"! cmp --silent {changed_by_hand} {changed_by_hand}.kept")
    assert "bluefleet-random-walk\n" not in on("node2", "docker ps --all --format '{{.Names}}'")
