"""What ion chambers in a row count of a beam: photons come at random, so counts have the noise of counting (Poisson)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulated.absorption import Foil

# What the chamber before the sample takes out of the beam, and the others of what reaches them.
I0_TAKES: Final = 0.1
OTHERS_TAKE: Final = 0.5
# Fluorescence yield of copper's K hole, and how much of the sphere the detector sees.
YIELD: Final = 0.44
SEEN: Final = 0.02
# A stored beam decays, and is topped up.
TOP_UP_PERIOD: Final = 120.0
DECAY: Final = 0.03


@dataclass(frozen=True)
class Counts:
    """Photons counted before the sample, behind it, beside it, and behind the reference foil."""

    i0: float
    transmitted: float
    fluorescence: float
    reference: float


class Beam:
    """The beam on a sample and, behind that, on a foil of the same element."""

    def __init__(self, sample: Foil, flux: float, seed: int | None = None) -> None:
        """``flux``: photons in a second; with ``seed`` the noise is the same each time."""
        self._sample = sample
        self._flux = flux
        self._random = np.random.default_rng(seed)
        self._age = 0.0

    def count(self, energy: float, seconds: float) -> Counts:
        """What is counted at an energy in eV within a time."""
        self._age = (self._age + seconds) % TOP_UP_PERIOD
        photons = self._flux * seconds * (1 - DECAY * self._age / TOP_UP_PERIOD)
        on_sample = photons * (1 - I0_TAKES)
        depth = self._sample.depth(energy)
        behind = on_sample * math.exp(-depth)
        absorbed = on_sample - behind
        beside = absorbed * self._sample.of_edge(energy) / depth * YIELD * SEEN
        return Counts(
            i0=self._noisy(photons * I0_TAKES),
            transmitted=self._noisy(behind * OTHERS_TAKE),
            fluorescence=self._noisy(beside),
            reference=self._noisy(behind * (1 - OTHERS_TAKE) * math.exp(-depth) * OTHERS_TAKE),
        )

    def _noisy(self, expected: float) -> float:
        return float(self._random.poisson(expected))
