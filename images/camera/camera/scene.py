"""What the camera looks at: a field of stars or a beam's spot, as counts on a sensor.

Counts are 16 bits. A sensor adds a bias, read noise, and dark current that doubles every DARK_DOUBLES degrees Celsius.
"""

from __future__ import annotations

import zlib
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

SceneName: TypeAlias = Literal["star", "beam"]
Image: TypeAlias = NDArray[np.uint16]
_Field: TypeAlias = NDArray[np.float64]

BIAS = 300.0
READ_NOISE = 4.0
# A room-temperature sensor is noisy within seconds, one at -20 °C within minutes; both can be seen in a short test.
DARK_AT_ZERO = 8.0
DARK_DOUBLES = 6.0
STARS = 40
STAR_WIDTH = 1.6
BEAM_RATE = 4000.0
BEAM_JITTER = 1.5


class Scene:
    """One field of ``height`` by ``width`` pixels; the same name has the same stars each time."""

    def __init__(self, kind: SceneName, name: str, height: int, width: int) -> None:
        self.height = height
        self.width = width
        self._kind = kind
        self._noise = np.random.default_rng()
        self._stars = self._star_field(np.random.default_rng(zlib.crc32(name.encode())))

    def expose(self, seconds: float, temperature: float, *, dark: bool) -> Image:
        """Counts after ``seconds`` at ``temperature`` (°C); ``dark`` is with the shutter closed."""
        rate = np.full((self.height, self.width), DARK_AT_ZERO * 2 ** (temperature / DARK_DOUBLES))
        if not dark:
            rate += self._stars if self._kind == "star" else self._beam()
        electrons = self._noise.poisson(rate * seconds).astype(np.float64)
        counts = electrons + BIAS + self._noise.normal(0.0, READ_NOISE, electrons.shape)
        return np.clip(np.rint(counts), 0, np.iinfo(np.uint16).max).astype(np.uint16)

    def _star_field(self, random: np.random.Generator) -> _Field:
        field = np.zeros((self.height, self.width))
        for _ in range(STARS):
            row, column = random.uniform(0, self.height), random.uniform(0, self.width)
            field += self._spot(row, column, STAR_WIDTH, STAR_WIDTH) * random.pareto(1.5) * 200
        return field

    def _beam(self) -> _Field:
        row, column = (self._noise.normal(size / 2, BEAM_JITTER) for size in (self.height, self.width))
        return self._spot(row, column, self.height / 12, self.width / 10) * BEAM_RATE

    def _spot(self, row: float, column: float, tall: float, wide: float) -> _Field:
        down = np.exp(-(((np.arange(self.height) - row) / tall) ** 2) / 2)
        across = np.exp(-(((np.arange(self.width) - column) / wide) ** 2) / 2)
        return np.outer(down, across)
