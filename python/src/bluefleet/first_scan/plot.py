"""A small plot for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

EIGHTHS = " ▁▂▃▄▅▆▇█"


def bars(values: Sequence[float], height: int = 8) -> list[str]:
    """One column a value, from the lowest possible (0, or the smallest if that is negative) to the largest."""
    low = min(0.0, *values)
    span = max(values) - low or 1.0
    filled = [round((value - low) / span * height * 8) for value in values]
    return [
        "".join(EIGHTHS[max(0, min(8, eighths - row * 8))] for eighths in filled) for row in range(height - 1, -1, -1)
    ]
