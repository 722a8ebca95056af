"""Where absorption edges lie.

The energies (``edge_energies.json``: element, edge, eV) are those of Elam, Ravel and Sieber, Radiation Physics and
Chemistry 63 (2002) 121, as in xraydb 4.5.8; K to M5, from 1000 eV up. The library itself would bring scipy into the image
for these few numbers.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Final

EDGES: Final = ("K", "L1", "L2", "L3", "M1", "M2", "M3", "M4", "M5")
# Oxidation moves an edge by some eV, and a monochromator may be as much off; the next element is hundreds away.
FARTHEST_E0: Final = 25.0


@cache
def energies() -> dict[str, dict[str, float]]:
    """Element → edge → eV."""
    return json.loads(files("bluefleet.acquisition.xafs").joinpath("edge_energies.json").read_text(encoding="utf-8"))


def nearest(energy: float) -> tuple[str, str, float]:
    """Element, edge and energy of the edge that lies nearest."""
    every = ((element, edge, at) for element, own in energies().items() for edge, at in own.items())
    return min(every, key=lambda each: abs(each[2] - energy))
