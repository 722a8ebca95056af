"""The simulated foil has what a scan is made to see."""

from __future__ import annotations

import numpy as np
import pytest

from simulated.absorption import Foil, fine_structure
from simulated.beam import Beam

FOIL = Foil()


def test_absorption_rises_steepest_at_the_edge_and_peaks_behind_it() -> None:
    energies = np.arange(-50, 60, 0.1)
    depth = np.array([FOIL.depth(FOIL.edge + each) for each in energies])
    assert abs(energies[np.gradient(depth).argmax()]) < 1
    assert 5 < energies[depth.argmax()] < 25
    assert depth[-1] - depth[0] == pytest.approx(FOIL.step, rel=0.25)


def test_the_fine_structure_swings_with_the_nearest_neighbours_and_fades() -> None:
    wave_numbers = np.arange(3, 15, 0.02)
    chi = np.array([fine_structure(k**2 / 0.2624682917) for k in wave_numbers])
    swings = int(np.sum(np.diff(np.sign(chi)) != 0))
    # sin(2 k R + φ(k)) with R = 2.556 Å over 12 Å⁻¹; φ takes some away.
    assert 8 <= swings <= 20
    assert np.abs(chi[:100]).max() > 5 * np.abs(chi[-100:]).max()
    assert 0.02 < np.abs(chi).max() < 0.3


def test_counts_have_the_noise_of_counting() -> None:
    beam = Beam(FOIL, 1e7, seed=3)
    counts = np.array([beam.count(9500, 0.01).i0 for _ in range(2000)])
    # The beam decays by 3 % within two minutes, of which these are 20 s.
    assert counts.std() == pytest.approx(np.sqrt(counts.mean()), rel=0.15)


def test_the_same_seed_has_the_same_noise() -> None:
    first, second, other = (Beam(FOIL, 1e6, seed).count(9000, 1.0) for seed in (5, 5, 6))
    assert first == second != other
