"""The points of a scan: at which energy, for how long.

A region begins at its lower bound and goes up by its step; the border between two regions is a point of the upper one, with
that one's time, and the last bound closes the last region. Where a step doesn't divide its region, the last interval is the
shorter one. With a step in Å⁻¹ points lie evenly in k, E = e0 + k² / 0.2624682917; with a time in s for each Å⁻¹ a point of
wave number k is counted for time · k, as the fine structure fades while k grows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from bluefleet.acquisition.xafs.amount import Amount
from bluefleet.acquisition.xafs.scan import XafsScan
from bluefleet.acquisition.xafs.wave_number import to_energy, to_wave_number

# Of a step: what is nearer than this to a border is the border.
_SAME = 1e-6


@dataclass(frozen=True)
class Point:
    """Energy in eV and dwell time in s."""

    energy: float
    seconds: float


def points(scan: XafsScan) -> list[Point]:
    """Every point once, ascending."""
    above = [
        (each, time)
        for (lower, upper), step, time in zip(pairwise(scan.bounds), scan.steps, scan.times, strict=True)
        for each in _from(lower, upper, step)
    ]
    above.append((scan.bounds[-1].above_edge, scan.times[-1]))
    return [Point(scan.e0 + each, _dwell(each, time)) for each, time in above]


def _from(lower: Amount, upper: Amount, step: Amount) -> Iterator[float]:
    """eV relative to e0, up to but without the upper bound."""
    first, end = (lower.wave_number, upper.wave_number) if step.k else (lower.above_edge, upper.above_edge)
    for number in range(math.ceil((end - first) / step.number - _SAME)):
        at = first + number * step.number
        yield to_energy(at) if step.k else at


def _dwell(above: float, time: Amount) -> float:
    return time.number * to_wave_number(above) if time.k else time.number
