"""Which plans a site's own modules add to the worker, and what is said of those that they can't."""

from __future__ import annotations

import pytest
from bluesky.plans import count
from tests.acquisition.conftest import Load

from bluefleet.acquisition import plans
from bluefleet.acquisition.site_plans import load_site_plans
from bluefleet.fleet._guard import USE_ONLY_ARGUMENTS

pytestmark = pytest.mark.filterwarnings("default")

A_PLAN = "def {name}(detectors):\n    yield\n"


def test_of_all_plans_here_the_fleet_knows_that_they_use_only_their_arguments() -> None:
    assert set(plans.__all__) == USE_ONLY_ARGUMENTS


def test_a_module_offers_the_public_plans_that_it_defines(load: Load) -> None:
    imported = "from bluesky.plan_stubs import open_run\nLIMIT = 3\ndef no_plan():\n    return 3\n"
    found = load(seven=imported + A_PLAN.format(name="align") + A_PLAN.format(name="_inner"))
    assert list(found.plans) == ["align"]
    assert found.refusals == []


def test_all_of_a_module_is_respected(load: Load) -> None:
    chosen = "from bluesky.plan_stubs import open_run\nLIMIT = 3\n__all__ = ['align', 'open_run', 'LIMIT']\n"
    found = load(seven=chosen + A_PLAN.format(name="align") + A_PLAN.format(name="kept_back"))
    assert set(found.plans) == {"align", "open_run"}


def test_a_broken_module_is_named_with_the_reason_and_stops_no_other(load: Load) -> None:
    found = load(
        wrong=A_PLAN.format(name="lost") + "1 / 0\n",
        unreadable="def (:\n",
        leaving="import sys\nsys.exit(1)\n",
        lying="__all__ = ['nothing_there']\n",
        well=A_PLAN.format(name="align"),
    )
    assert list(found.plans) == ["align"]
    wrong, unreadable, leaving, lying = found.refusals
    assert "plans of wrong are not available: ZeroDivisionError: division by zero" in wrong
    assert "wrong.py:3" in wrong
    assert "plans of unreadable are not available: SyntaxError" in unreadable
    assert "unreadable.py:1" in unreadable
    assert "plans of leaving are not available: SystemExit" in leaving
    assert "nothing_there" in lying


def test_a_module_that_is_not_installed_is_told_with_the_remedy() -> None:
    (refusal,) = load_site_plans(["no_such_beamline.plans"], {}).refusals
    assert "no module no_such_beamline in this image; is its package in acquisition_packages?" in refusal


def test_a_plan_never_replaces_one_of_the_project_and_both_are_named(load: Load) -> None:
    found = load(seven=A_PLAN.format(name="count") + A_PLAN.format(name="align"))
    assert list(found.plans) == ["align"]
    (refusal,) = found.refusals
    assert "plan count of seven is not available: this project (bluesky.plans) has the name count" in refusal


def test_of_two_modules_with_a_plan_of_one_name_the_first_keeps_it_and_both_are_named(load: Load) -> None:
    found = load(seven=A_PLAN.format(name="align"), eight=A_PLAN.format(name="align"))
    assert found.plans["align"].__module__ == "seven"
    assert found.refusals == [
        "plan align of eight is not available: seven has the name align, and keeps it; give one of them another name"
    ]


def test_the_very_same_plan_from_two_places_is_no_clash(load: Load) -> None:
    found = load(
        seven=A_PLAN.format(name="align"),
        eight="from bluesky.plans import count\nfrom seven import align\n__all__ = ['count', 'align']\n",
    )
    assert found.plans.get("count", count) is count
    assert found.refusals == []


@pytest.mark.parametrize("source", ["bluesky.plans", "bluefleet.acquisition.plans"])
def test_a_plan_of_the_project_with_something_of_a_sites_around_it_is_refused_by_name(load: Load, source: str) -> None:
    around_count = "@functools.wraps(theirs.count)\ndef count(*args):\n    yield from theirs.count(*args)\n"
    around_grid_scan = "grid_scan = bpp.baseline_decorator([])(theirs.grid_scan)\n"
    imports = f"import functools\nfrom bluesky import preprocessors as bpp\nimport {source} as theirs\n"
    found = load(seven=f"{imports}{around_count}{around_grid_scan}__all__ = ['count', 'grid_scan']\n")
    assert found.plans == {}
    count, grid_scan = found.refusals
    assert "plan count of seven is not available: this project" in count
    assert "plan grid_scan of seven is not available: this project" in grid_scan


def test_a_module_without_plans_says_what_a_plan_is(load: Load) -> None:
    (refusal,) = load(seven="def align():\n    return []\n").refusals
    assert "seven has no plans" in refusal
    assert "'yield'" in refusal
