"""The Gaussian-process recommender: looks for the highest or lowest value within bounds, or maps what is between them.

A model of scikit-learn (Matérn kernel with noise) is fitted to all runs so far; the next point is the one among a fixed set
of candidates whose upper confidence bound, mean + kappa · deviation, is highest (for `goal: map` whose deviation is).
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (scikit-learn and scipy have few types)
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

GOALS = ("maximum", "minimum", "map")
#: As many points an axis are spread evenly before the model is asked: fewer tell nothing of lengths.
SPREAD = 6
#: Candidates: 2 to this power, spread evenly by a Sobol sequence that begins the same way each time.
CANDIDATES = 10
SEED = 7


class GaussianProcess:
    """Measures where it promises most.

    :param bounds: lowest and highest position of each axis, such as ``{"motor": [-5, 5]}``
    :param objective: the field that counts; the first hinted one by default
    :param goal: ``maximum``, ``minimum``, or ``map`` to know the whole range equally well
    :param kappa: how much what isn't known counts against what is promising
    :param precision: end the campaign when the model's deviation is below this everywhere, in units of the objective
    """

    def __init__(
        self,
        *,
        axes: Sequence[str],
        fields: Sequence[str],
        bounds: Mapping[str, Sequence[float]],
        objective: str | None = None,
        goal: str = "maximum",
        kappa: float = 2.0,
        precision: float = 0.0,
    ) -> None:
        if set(bounds) != set(axes):
            raise ValueError(f"bounds are for {', '.join(sorted(bounds))}, and the axes are {', '.join(sorted(axes))}")
        for axis, pair in bounds.items():
            if len(pair) != 2 or not float(pair[0]) < float(pair[1]):
                raise ValueError(f"bounds of {axis} are {list(pair)}: give the lower and the higher one")
        if goal not in GOALS:
            raise ValueError(f"goal is {goal!r}: there are {', '.join(GOALS)}")
        if objective is None and not fields:
            raise ValueError("the detectors hint at no field: name one as objective")
        self._axes = list(axes)
        self._low, self._high = (np.array([float(bounds[axis][end]) for axis in axes]) for end in (0, 1))
        self._objective = objective or fields[0]
        self._sign = -1.0 if goal == "minimum" else 1.0
        self._map = goal == "map"
        self._kappa, self._precision = float(kappa), float(precision)
        self._x: list[list[float]] = []
        self._y: list[float] = []
        self._candidates: Any = None

    def tell(self, x: Mapping[str, float], y: Mapping[str, float]) -> None:
        """One more run."""
        if self._objective not in y:
            raise ValueError(f"no field {self._objective!r} was read; there are {', '.join(sorted(y))}")
        if not np.isfinite(y[self._objective]):
            raise ValueError(f"{self._objective} was read as {y[self._objective]}")
        self._x.append([x[axis] for axis in self._axes])
        self._y.append(self._sign * y[self._objective])

    def ask(self) -> Mapping[str, float] | None:
        """The most promising of the candidates."""
        if self._candidates is None:
            self._candidates = self._spread()
        if len(self._y) < SPREAD * len(self._axes):
            return self._point(self._candidates[len(self._y)])
        mean, deviation = self._predicted()
        if self._precision > 0 and deviation.max() < self._precision:
            return None
        promise = deviation if self._map else mean + self._kappa * deviation
        return self._point(self._candidates[int(np.argmax(promise))])

    def _spread(self) -> Any:
        # scikit-learn and scipy take seconds to load: the plan, which only makes a recommender, needs neither.
        from scipy.stats import qmc

        unit = qmc.Sobol(len(self._axes), rng=SEED).random_base2(CANDIDATES)
        return self._low + unit * (self._high - self._low)

    def _predicted(self) -> tuple[Any, Any]:
        """The objective at each candidate, and how far off that may be."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
        from threadpoolctl import threadpool_limits

        lengths: Any = np.full(len(self._axes), 0.2)
        kernel = ConstantKernel() * Matern(lengths, (0.02, 2.0), nu=2.5) + WhiteKernel(1e-4, (1e-8, 1.0))
        model = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=2, random_state=SEED)
        # So small a model is fitted five times as fast by one thread as by several that wait for each other.
        with warnings.catch_warnings(), threadpool_limits(1):
            # A length at its bound is no news while there are few points.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(self._unit(np.array(self._x)), np.array(self._y))
            predicted: Any = model.predict(self._unit(self._candidates), return_std=True)
            return predicted

    def _unit(self, points: Any) -> Any:
        return (points - self._low) / (self._high - self._low)

    def _point(self, values: Any) -> dict[str, float]:
        return {axis: float(value) for axis, value in zip(self._axes, values, strict=True)}
