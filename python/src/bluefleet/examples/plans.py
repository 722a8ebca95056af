"""Which runs are made: over the site's simulated hardware where the queue has it, else over ophyd.sim's devices."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import Any

from bluefleet.first_scan import Pinhole, absorption_of, subject_of
from bluefleet.first_scan.scan import VELOCITY
from bluefleet.model import Site

# Of ophyd.sim: both see a peak at 0 of `motor`.
_SIMULATED = Pinhole("motor", "det", "noisy_det")
_ABSORPTION = """\
[scan]
filename = example
element = Cu
edge = K
e0 = 8979
sample = copper foil
bounds = -30 -10 20 60
steps = 5 1 4
times = 0.5 0.5 0.5
"""


@dataclass(frozen=True)
class Example:
    """A plan to queue, the devices that it needs, and what it shows."""

    name: str
    args: list[Any]
    devices: tuple[str, ...]
    shows: str
    kwargs: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def plan(self) -> dict[str, Any]:
        """As the queue takes it."""
        return {"name": self.name, "args": self.args, "kwargs": self.kwargs}


def examples_for(site: Site, plans: Set[str], devices: Set[str]) -> list[Example]:
    """Those of the examples whose plan and devices the queue has."""
    beam = _own_beam(site, devices) or _SIMULATED
    found = [*_over(beam), *_of_ophyd(), *_of_absorption(site)]
    return [example for example in found if example.name in plans and set(example.devices) <= devices]


def velocity_of(site: Site, devices: Set[str]) -> dict[str, Any] | None:
    """The plan that makes the site's own axis quick enough for examples; nothing where it isn't used."""
    beam = _own_beam(site, devices)
    return {"name": "mv", "args": [f"{beam.axis}.velocity", VELOCITY]} if beam else None


def _own_beam(site: Site, devices: Set[str]) -> Pinhole | None:
    """The site's pinhole, if the queue has what is needed of it."""
    subject = subject_of(site)
    return subject if isinstance(subject, Pinhole) and {subject.axis, *subject.detectors} <= devices else None


def _over(beam: Pinhole) -> Iterator[Example]:
    axis, detector, both = beam.axis, beam.detector, beam.detectors
    yield Example("count", [[detector]], (detector,), f"{detector}, five times", {"num": 5})
    yield Example("scan", [both, axis, -10, 10, 21], (axis, *both), f"{' and '.join(both)} over {axis}")
    around = f"{detector} around where {axis} is"
    yield Example("rel_scan", [[detector], axis, -2, 2, 9], (axis, detector), around)


def _of_ophyd() -> Iterator[Example]:
    grid = [["det1", "det2"], "motor1", -1, 1, 4, "motor2", -1, 1, 5]
    yield Example("grid_scan", grid, ("det1", "det2", "motor1", "motor2"), "two axes, row by row")
    # Field, axis, from, to, smallest and largest step, wanted change of the field, whether it goes back.
    steep = [["det"], "det", "motor", -5, 5, 0.2, 2, 0.2, True]
    yield Example("adaptive_scan", steep, ("det", "motor"), "det over motor, closer where it is steep")


def _of_absorption(site: Site) -> Iterator[Example]:
    if used := absorption_of(site):
        yield Example("xafs", [_ABSORPTION, *used], used, "the copper K edge")
