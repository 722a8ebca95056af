"""The step recommender: always on by the same step, whatever was measured."""

from collections.abc import Mapping, Sequence

STEP = 1.5


class Step:
    """Each axis goes on by `step`: one number for all, or one by axis."""

    def __init__(self, *, axes: Sequence[str], fields: Sequence[str], step: float | Mapping[str, float] = STEP) -> None:
        del fields
        steps = dict.fromkeys(axes, step) if isinstance(step, int | float) else dict(step)
        if set(steps) != set(axes):
            raise ValueError(f"step is for {', '.join(sorted(steps))}, and the axes are {', '.join(sorted(axes))}")
        self._steps = {axis: float(each) for axis, each in steps.items()}
        self._last: Mapping[str, float] | None = None

    def tell(self, x: Mapping[str, float], y: Mapping[str, float]) -> None:
        """Where we are."""
        del y
        self._last = x

    def ask(self) -> Mapping[str, float] | None:
        """One step on."""
        if self._last is None:
            return None
        return {axis: self._last[axis] + step for axis, step in self._steps.items()}
