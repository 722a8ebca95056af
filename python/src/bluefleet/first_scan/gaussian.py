"""Fit of a Gaussian on a constant background, by Levenberg and Marquardt's method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class NoPeak(Exception):
    """The data have no peak that a Gaussian fits."""


@dataclass(frozen=True)
class Gaussian:
    """``height * exp(-(x - centre)² / 2 width²) + background``; centre and width in the units of x."""

    centre: float
    width: float
    height: float
    background: float

    def at(self, x: Values) -> Values:
        return _model(np.array([self.centre, self.width, self.height, self.background]), x)


def fit_gaussian(x: Values, y: Values, *, steps: int = 200) -> Gaussian:
    """The Gaussian nearest to the data in least squares. Raises NoPeak."""
    if len(x) < 5 or not np.all(np.isfinite(y)) or np.ptp(y) <= 0:
        raise NoPeak(f"{len(x)} points between {np.min(y, initial=0):g} and {np.max(y, initial=0):g} have no peak")
    guess = _first_guess(x, y)
    best = _sum_of_squares(guess, x, y)
    damping = 1e-3
    for _ in range(steps):
        residuals, slopes = y - _model(guess, x), _slopes(guess, x)
        square = slopes.T @ slopes
        step = np.linalg.lstsq(square + damping * np.diag(np.diag(square)), slopes.T @ residuals, rcond=None)[0]
        trial = guess + step
        sum_of_squares = _sum_of_squares(trial, x, y)
        if sum_of_squares < best:
            settled = best - sum_of_squares < 1e-9 * best
            guess, best, damping = trial, sum_of_squares, damping / 10
            if settled:
                break
        else:
            damping *= 10
            if damping > 1e12:
                break
    centre, width, height, background = (float(value) for value in guess)
    if not x.min() <= centre <= x.max() or height <= 0:
        raise NoPeak(f"the fit left the scan: centre {centre:g}, height {height:g}")
    return Gaussian(centre, abs(width), height, background)


def _first_guess(x: Values, y: Values) -> Values:
    """Moments of what rises above the lowest point."""
    background = float(np.min(y))
    weight = y - background
    centre = float(np.average(x, weights=weight))
    width = float(np.sqrt(np.average((x - centre) ** 2, weights=weight)))
    return np.array([centre, width or float(np.ptp(x)) / 4, float(np.ptp(y)), background])


def _model(p: Values, x: Values) -> Values:
    return p[2] * np.exp(-((x - p[0]) ** 2) / (2 * p[1] ** 2)) + p[3]


def _slopes(p: Values, x: Values) -> Values:
    """Derivatives of the model by its parameters, a column each."""
    distance = x - p[0]
    bell = np.exp(-(distance**2) / (2 * p[1] ** 2))
    return np.stack(
        [p[2] * bell * distance / p[1] ** 2, p[2] * bell * distance**2 / p[1] ** 3, bell, np.ones_like(x)], axis=1
    )


def _sum_of_squares(p: Values, x: Values, y: Values) -> float:
    return float(np.sum((y - _model(p, x)) ** 2))
