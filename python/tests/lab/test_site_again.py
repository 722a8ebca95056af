"""The door is opened a second time: nothing changes, whichever strategy and mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Run

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
ALL = {"localhost", "manager", "data", "node1", "node2"}
# Ansible's own strategy; an empty environment would fall back to mitogen.
LINEAR = {"ANSIBLE_STRATEGY": "linear"}


def test_a_second_converge_changes_nothing(play: Callable[..., Run]) -> None:
    again = play("site.yml")
    assert again.code == 0, again.text[-3000:]
    assert set(again.told["hosts"]) == ALL
    assert again.changed() == {}


def test_a_converge_without_mitogen_changes_nothing_either(play: Callable[..., Run]) -> None:
    again = play("site.yml", environment=LINEAR)
    assert again.code == 0, again.text[-3000:]
    assert again.changed() == {}


def test_the_drift_report_of_a_converged_site_is_empty(play: Callable[..., Run]) -> None:
    report = play("site.yml", "--check", "--diff")
    assert report.code == 0, report.text[-3000:]
    assert report.changed() == {}
