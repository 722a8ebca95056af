"""The door is opened a second time: nothing changes, whichever strategy and mode."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab_door import ADDRESSES, Converge

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
