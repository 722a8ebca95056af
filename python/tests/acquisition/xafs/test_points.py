"""Which points the regions of a scan make."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from tests.acquisition.xafs.conftest import TEXT

from bluefleet.acquisition.xafs.points import points
from bluefleet.acquisition.xafs.scan import XafsScan
from bluefleet.acquisition.xafs.wave_number import to_energy, to_wave_number

E0 = 8979.0


def of(bounds: str, steps: str, times: str) -> list[tuple[float, float]]:
    """Energies relative to e0, and times."""
    scan = XafsScan.read({
        "filename": "f", "element": "Cu", "edge": "K", "e0": E0, "sample": "s",
        "bounds": bounds, "steps": steps, "times": times,
    })  # fmt: skip
    return [(round(point.energy - E0, 6), point.seconds) for point in points(scan)]


def test_a_border_is_one_point_of_the_upper_region() -> None:
    assert of("-20 -10 -4", "5 2", "1 3") == [(-20, 1), (-15, 1), (-10, 3), (-8, 3), (-6, 3), (-4, 3)]


def test_the_last_interval_of_a_region_may_be_shorter() -> None:
    assert [energy for energy, _ in of("0 10 12", "4 1", "1 1")] == [0, 4, 8, 10, 11, 12]


def test_a_step_in_k_lies_evenly_in_k_and_a_time_in_k_grows_with_it() -> None:
    found = of("2k 4k", "0.5k", "0.25k")
    assert [to_wave_number(energy) for energy, _ in found] == pytest.approx([2, 2.5, 3, 3.5, 4])
    assert [seconds for _, seconds in found] == pytest.approx([0.5, 0.625, 0.75, 0.875, 1.0])


def test_a_step_in_k_may_begin_at_the_edge_itself() -> None:
    assert [to_wave_number(energy) for energy, _ in of("-10 0 2k", "10 1k", "1 1")[1:]] == pytest.approx([0, 1, 2])


def test_the_slides_scan_goes_up_from_border_to_border() -> None:
    found = points(XafsScan.read(TEXT))
    energies = [point.energy - E0 for point in found]
    assert all(upper - lower > 1e-3 for lower, upper in pairwise(energies))
    for border in (-200, -30, -10, 15.5, to_energy(15)):
        assert sum(math.isclose(energy, border, abs_tol=1e-6) for energy in energies) == 1
    assert len(found) == 17 + 10 + 85 + 260 + 1
    assert found[-1].seconds == pytest.approx(0.25 * 15)
    # At 15.5 eV the time in k takes over where the plain one ends.
    assert found[112].seconds == pytest.approx(0.25 * math.sqrt(0.2624682917 * 15.5))


def test_wave_numbers_are_those_of_the_constants_of_nature() -> None:
    electron, charge, planck = 9.1093837015e-31, 1.602176634e-19, 1.054571817e-34
    expected = math.sqrt(2 * electron * charge * 100) / planck * 1e-10
    assert to_wave_number(100) == pytest.approx(expected, rel=1e-6)
    assert to_energy(to_wave_number(100)) == pytest.approx(100)
