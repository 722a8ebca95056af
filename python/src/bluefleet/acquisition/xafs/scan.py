"""What a scan is: the fields of its text, each of them checked."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails

from bluefleet.acquisition.xafs import ini_text
from bluefleet.acquisition.xafs.amount import Amount, Amounts
from bluefleet.acquisition.xafs.edges import EDGES, FARTHEST_E0, energies, nearest
from bluefleet.acquisition.xafs.ini_text import Source, like
from bluefleet.acquisition.xafs.mistakes import Mistake, XafsRefused

MODES: Final = ("transmission", "fluorescence", "both", "reference")
# A person's slip with a step (0.003 for 0.3) makes a scan of days.
MOST_POINTS: Final = 10_000
_FILENAME = re.compile(r"[\w.+-][\w.+ -]*")


def _names(given: Any) -> Any:
    return [name.strip() for name in given.split(",") if name.strip()] if isinstance(given, str) else given


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


class XafsScan(BaseModel):
    """The description of ``nscans`` like scans over one edge. The order of fields is that in which they are checked."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    filename: str = Field(description="What the scans are called: each is this and its number, such as cufoil.001")
    experimenters: Names = Field(default=(), description="Who measures")
    element: str = Field(description="Symbol of the absorbing element")
    edge: str = Field(description="K, L1, … or M5")
    e0: float = Field(default=0.0, validate_default=True, description="The edge in eV; without it, as in the table")
    sample: str = Field(min_length=1, description="What is measured")
    prep: str = Field(default="", description="How the sample was made")
    comment: str = Field(default="", description="Whatever else there is to say")
    nscans: int = Field(default=1, ge=1, le=999, description="How many scans, each a run of its own")
    start: int = Field(default=1, ge=0, le=99_999, description="Number of the first")
    mode: Literal["transmission", "fluorescence", "both", "reference"] = "transmission"
    bounds: Amounts = Field(description="Borders of regions, ascending: eV relative to e0, or with k in Å⁻¹ above it")
    steps: Amounts = Field(description="Of each region: eV, or with k Å⁻¹")
    times: Amounts = Field(description="Of each region: s at a point, or with k s for each Å⁻¹ of the point's k")

    @classmethod
    def read(cls, given: str | Mapping[str, Any]) -> Self:
        """From a text, the name of a file with one (``….ini``), or the fields. Raises XafsRefused with every mistake."""
        values, source = ini_text.read(given) if isinstance(given, str) else (dict(given), Source())
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise XafsRefused([_in_words(each, source) for each in error.errors(include_url=False)]) from error

    @field_validator("filename")
    @classmethod
    def _one_name(cls, name: str) -> str:
        if not _FILENAME.fullmatch(name):
            raise ValueError("a name has letters, digits, blanks and . _ + - and no folder")
        return name

    @field_validator("element")
    @classmethod
    def _tabulated(cls, element: str) -> str:
        symbol = element.capitalize()
        if symbol not in energies():
            raise ValueError("no element with an edge above 1000 eV; give its symbol, such as Cu")
        return symbol

    @field_validator("edge")
    @classmethod
    def _of_element(cls, edge: str, info: ValidationInfo) -> str:
        name = edge.upper()
        if name not in EDGES:
            raise ValueError(f"not an edge; choose one of {', '.join(EDGES)}")
        element = info.data.get("element")
        if element is not None and name not in energies()[element]:
            raise ValueError(f"{element} has none above 1000 eV; those it has: {', '.join(energies()[element])}")
        return name

    @field_validator("e0", mode="before")
    @classmethod
    def _from_the_table(cls, e0: Any, info: ValidationInfo) -> Any:
        if e0 not in (0.0, None, ""):
            return e0
        return energies().get(info.data.get("element", ""), {}).get(info.data.get("edge", ""), 0.0)

    @field_validator("e0")
    @classmethod
    def _near_its_edge(cls, e0: float, info: ValidationInfo) -> float:
        element, edge = info.data.get("element"), info.data.get("edge")
        if element is None or edge is None:
            return e0  # what is wrong with those is told
        tabulated = energies()[element][edge]
        if math.isfinite(e0) and abs(e0 - tabulated) <= FARTHEST_E0:
            return e0
        near = nearest(e0) if math.isfinite(e0) else (element, edge, tabulated)
        other = "" if near[:2] == (element, edge) else f" (the nearest edge is {near[0]} {near[1]}, {near[2]:g})"
        raise ValueError(
            f"{abs(e0 - tabulated):g} eV from the {element} {edge} edge at {tabulated:g}, and {FARTHEST_E0:g} is the most"
            f"{other}; correct e0, element or edge"
        )

    @field_validator("mode", mode="before")
    @classmethod
    def _small_letters(cls, mode: Any) -> Any:
        return mode.strip().lower() if isinstance(mode, str) else mode

    @field_validator("bounds")
    @classmethod
    def _ascend(cls, bounds: tuple[Amount, ...], info: ValidationInfo) -> tuple[Amount, ...]:
        if len(bounds) < 2:
            raise ValueError("a region has two bounds; give at least two")
        for bound in bounds:
            if bound.k and bound.number < 0:
                raise ValueError(f"{bound}: k is 0 at e0 and has no value below; give it in eV")
        for lower, upper in pairwise(bounds):
            if upper.above_edge <= lower.above_edge:
                raise ValueError(
                    f"they must ascend, and {_with_energy(upper)} comes after {_with_energy(lower)}; put them in order"
                )
        e0 = info.data.get("e0", 0.0) or math.inf  # what is wrong with it is told
        if e0 + bounds[0].above_edge <= 0:
            raise ValueError(f"{bounds[0]} is below 0 eV, with e0 at {e0:g}; begin higher")
        return bounds

    @field_validator("steps")
    @classmethod
    def _fit_their_regions(cls, steps: tuple[Amount, ...], info: ValidationInfo) -> tuple[Amount, ...]:
        regions = _regions(steps, "step", info)
        points = 1.0
        for step, (lower, upper) in zip(steps, regions, strict=False):
            if step.number <= 0:
                raise ValueError(f"{step} is no step; give one above 0")
            if step.k and lower.above_edge < 0:
                raise ValueError(f"{step} in the region {lower} … {upper}: below e0 is no k; give it in eV")
            width = upper.wave_number - lower.wave_number if step.k else upper.above_edge - lower.above_edge
            if step.number > width * (1 + 1e-9):
                raise ValueError(
                    f"{step} is more than the region {lower} … {upper} is wide ({width:.4g}{'k' if step.k else ' eV'}); "
                    "give a smaller step"
                )
            points += width / step.number
        if points > MOST_POINTS:
            raise ValueError(f"they make {points:.0f} points, and {MOST_POINTS} is the most; give wider steps")
        return steps

    @field_validator("times")
    @classmethod
    def _can_be_counted(cls, times: tuple[Amount, ...], info: ValidationInfo) -> tuple[Amount, ...]:
        for time, (lower, upper) in zip(times, _regions(times, "time", info), strict=False):
            if time.number <= 0:
                raise ValueError(f"{time} is no time; give one above 0")
            if time.k and lower.above_edge <= 0:
                raise ValueError(f"{time} in the region {lower} … {upper}: k is 0 at e0, and none below; give it in s")
        return times


def _regions(given: tuple[Amount, ...], what: str, info: ValidationInfo) -> list[tuple[Amount, Amount]]:
    """Lower and upper bound of each region, as many as are ``given``; none when what is wrong with bounds is told."""
    bounds: tuple[Amount, ...] | None = info.data.get("bounds")
    if bounds is None:
        return []
    regions = list(pairwise(bounds))
    if len(given) != len(regions):
        raise ValueError(
            f"{len(given)} {what}s for {len(regions)} regions, as there are {len(bounds)} bounds; "
            f"give each region its {what}"
        )
    return regions


def _with_energy(bound: Amount) -> str:
    return f"{bound} ({bound.above_edge:.1f} eV)" if bound.k else str(bound)


def _in_words(error: ErrorDetails, source: Source) -> Mistake:
    key = str(error["loc"][0]) if error["loc"] else ""
    given = error["input"]
    match error["type"]:
        case "missing":
            return Mistake(source.file, f"{key} is missing; add a line {key} = …")
        case "extra_forbidden":
            words = "is not known" + like(key, list(XafsScan.model_fields))
            return Mistake(source.place(key), f"{key} {words}")
        case "literal_error":
            words = f"choose one of {', '.join(MODES)}"
        case "value_error":
            words = str(error.get("ctx", {}).get("error", error["msg"]))
        case _:
            words = error["msg"][:1].lower() + error["msg"][1:]
    return Mistake(source.place(key), f"{key} = {_as_given(given)}: {words}")


def _as_given(given: Any) -> str:
    return " ".join(map(str, cast("list[object]", given))) if isinstance(given, tuple | list) else str(given)
