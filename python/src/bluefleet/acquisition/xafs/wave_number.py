"""From an energy above the edge to the photoelectron's wave number, and back.

k = √(2 mₑ (E - E₀)) / ħ = √(0.2624682917 (E - E₀)), with k in Å⁻¹ and energies in eV. The factor is the one that IFEFFIT and
its successors analyse spectra with; from the constants of CODATA 2018 it would be 0.2624684.
"""

from __future__ import annotations

import math
from typing import Final

FACTOR: Final = 0.2624682917


def to_wave_number(above_edge: float) -> float:
    """k in Å⁻¹ of an energy in eV above the edge; ValueError below it, where there is none."""
    if above_edge < 0:
        raise ValueError(f"{above_edge:g} eV lies below the edge")
    return math.sqrt(FACTOR * above_edge)


def to_energy(wave_number: float) -> float:
    """Energy in eV above the edge of a k in Å⁻¹."""
    return wave_number**2 / FACTOR
