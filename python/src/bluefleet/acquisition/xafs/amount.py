"""A number of a scan's regions: plain, or with a ``k`` after it, which makes it one in wave numbers."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict

from bluefleet.acquisition.xafs.wave_number import to_energy, to_wave_number

_NUMBER = re.compile(r"(?P<number>[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)(?P<k>k?)", re.IGNORECASE)


class Amount(BaseModel):
    """A bound in eV or Å⁻¹ (``k``), a step in either, or a time in s or in s for each Å⁻¹ (``k``)."""

    model_config = ConfigDict(frozen=True)

    number: float
    k: bool = False

    @classmethod
    def of(cls, given: object) -> Self:
        """From ``15.5``, ``"15.5"`` or ``"15k"``; ValueError for anything else."""
        if isinstance(given, cls):
            return given
        found = _NUMBER.fullmatch(str(given).strip())
        if found is None or isinstance(given, bool) or not math.isfinite(number := float(found["number"])):
            raise ValueError(f"{given} is no number, nor one with k, such as 15.5 or 15k")
        return cls(number=number, k=bool(found["k"]))

    @property
    def above_edge(self) -> float:
        """As a bound: eV relative to e0."""
        return to_energy(self.number) if self.k else self.number

    @property
    def wave_number(self) -> float:
        """As a bound: Å⁻¹; ValueError below the edge."""
        return self.number if self.k else to_wave_number(self.number)

    def __str__(self) -> str:
        return f"{self.number:g}{'k' if self.k else ''}"


def _several(given: Any) -> Any:
    """From a text with blanks or commas between, or a list."""
    if isinstance(given, str):
        given = given.replace(",", " ").split()
    amounts = cast("list[object]", given if isinstance(given, list | tuple) else [given])
    return tuple(Amount.of(each) for each in amounts)


Amounts = Annotated[tuple[Amount, ...], BeforeValidator(_several)]
