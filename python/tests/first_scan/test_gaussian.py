"""The fit that says where the pinhole is."""

import numpy as np
import pytest

from bluefleet.first_scan.gaussian import NoPeak, fit_gaussian
from bluefleet.first_scan.plot import bars

POSITIONS = np.linspace(-15, 15, 31)


def beamline(centre: float, seed: int) -> np.ndarray:
    """Counts as mini_beamline makes them: a beam that varies by 5 %, and counting noise."""
    noise = np.random.default_rng(seed)
    current = 500 + 25 * np.sin(noise.uniform(0, 2 * np.pi, POSITIONS.size))
    return noise.poisson(200 * current * np.exp(-((POSITIONS - centre) ** 2) / 50)).astype(float)


@pytest.mark.parametrize("seed", range(20))
def test_the_centre_of_a_noisy_pinhole_is_found_within_a_fifth(seed: int) -> None:
    fit = fit_gaussian(POSITIONS, beamline(0.0, seed))
    assert abs(fit.centre) < 0.2
    assert fit.width == pytest.approx(5, abs=0.4)


@pytest.mark.parametrize("centre", [-7.0, 0.8, 6.0])
def test_a_pinhole_that_is_elsewhere_is_found_there(centre: float) -> None:
    assert fit_gaussian(POSITIONS, beamline(centre, 1)).centre == pytest.approx(centre, abs=0.3)


def test_background_is_not_taken_for_the_peak() -> None:
    fit = fit_gaussian(POSITIONS, 1000 + 50 * np.exp(-((POSITIONS - 2) ** 2) / 18))
    assert (fit.centre, fit.width) == (pytest.approx(2, abs=1e-3), pytest.approx(3, abs=1e-3))


@pytest.mark.parametrize(
    "counts", [np.zeros(31), np.full(31, 7.0), np.full(31, np.nan), np.exp(POSITIONS / 3)], ids=str
)
def test_what_has_no_peak_is_refused(counts: np.ndarray) -> None:
    with pytest.raises(NoPeak):
        fit_gaussian(POSITIONS, counts)


def test_bars_are_as_high_as_their_values() -> None:
    plot = bars([0, 1, 2, 4], height=2)
    assert plot == ["   █", " ▄██"]
