"""Which recommenders there are, what they decide, and how a wrong one is told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bluefleet.acquisition.adaptive.errors import CampaignWrong
from bluefleet.acquisition.adaptive.recommenders import make

BOUNDS = {"bounds": {"m": [-5, 5]}}


def measure(name: str, arguments: Mapping[str, Any], *, runs: int, first: float = 0.0) -> list[float]:
    """The positions of a campaign whose detector sees a peak at 1.7."""
    recommender = make(name, arguments, axes=["m"], fields=["d"])
    positions = [first]
    while len(positions) < runs:
        at = positions[-1]
        recommender.tell({"m": at}, {"m": at, "d": 10 * math.exp(-((at - 1.7) ** 2))})
        point = recommender.ask()
        if point is None:
            break
        positions.append(point["m"])
    return positions


def test_steps_go_on_by_the_same_amount() -> None:
    assert measure("step", {}, runs=17) == [1.5 * number for number in range(17)]
    assert measure("step", {"step": -0.5}, runs=3) == [0.0, -0.5, -1.0]


def test_steps_may_differ_by_axis() -> None:
    recommender = make("step", {"step": {"x": 1, "y": -2}}, axes=["x", "y"], fields=[])
    recommender.tell({"x": 0.0, "y": 0.0}, {})
    assert recommender.ask() == {"x": 1.0, "y": -2.0}


@pytest.mark.slow
def test_the_gaussian_process_finds_the_peak_and_stays_within_bounds() -> None:
    positions = measure("gaussian-process", BOUNDS, runs=18, first=-4.0)
    assert all(-5 <= position <= 5 for position in positions)
    assert min(abs(position - 1.7) for position in positions) < 0.1
    # The last ones are where the peak is, and not spread.
    assert abs(positions[-1] - 1.7) < 0.5


@pytest.mark.slow
def test_a_map_ends_when_it_is_as_precise_as_was_asked() -> None:
    positions = measure("gaussian-process", {**BOUNDS, "goal": "map", "precision": 0.2}, runs=60)
    assert 6 < len(positions) < 60
    assert max(positions) - min(positions) > 8


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("stepp", {}, "there is no recommender 'stepp': there are step, gaussian-process"),
        ("step", {"steps": 2}, "can't be made with .steps=2.*unexpected keyword argument 'steps'"),
        ("step", {"step": {"x": 1}}, "step is for x, and the axes are m"),
        ("gaussian-process", {}, "missing 1 required keyword-only argument: 'bounds'"),
        ("gaussian-process", {"bounds": {"x": [0, 1]}}, "bounds are for x, and the axes are m"),
        ("gaussian-process", {"bounds": {"m": [1, 0]}}, "give the lower and the higher one"),
        ("gaussian-process", {**BOUNDS, "goal": "top"}, "there are maximum, minimum, map"),
        ("nowhere.Spiral", {}, "no module nowhere in this image; is its package in acquisition_packages"),
        ("pathlib.Spiral", {}, "module pathlib has no Spiral"),
        ("subprocess.Popen", {"args": ["false"]}, "no recommender: a recommender is a class with tell"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_measured(name: str, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(CampaignWrong, match=words):
        make(name, arguments, axes=["m"], fields=["d"])


def test_a_sites_own_recommender_is_found_by_the_path_of_its_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beamline8.py").write_text(
        "class Twice:\n"
        "    def __init__(self, axes, fields, factor):\n        self.factor = factor\n"
        "    def tell(self, x, y):\n        self.x = x\n"
        "    def ask(self):\n        return {axis: at * self.factor for axis, at in self.x.items()}\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert measure("beamline8.Twice", {"factor": 2}, runs=4, first=1.0) == [1, 2, 4, 8]
