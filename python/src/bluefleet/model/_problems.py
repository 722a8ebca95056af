"""One thing that is wrong in a site file, so that a person can mend it without reading Python."""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeAlias, cast

from pydantic import BaseModel, ValidationError

from bluefleet.model._keys import keys_beside

Location: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """What is wrong at one place of the site file.

    `location` is the path of keys and positions to it, `value` what it says there, `remedy` what would be right.
    """

    location: Location
    value: Any
    says: str
    remedy: str

    def __str__(self) -> str:
        return f"{dotted(self.location)}: {self.says}. {self.remedy}"


def dotted(location: Location) -> str:
    """Write a location as people do: `nodes[0].instances[1].image`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "(the whole file)"


def shape_problems(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Turn pydantic's errors into problems of what was read as a `model`, one each."""
    return [_problem(cast("dict[str, Any]", each), model) for each in error.errors(include_url=False)]


def _problem(error: dict[str, Any], model: type[BaseModel]) -> Problem:
    location = tuple(part for part in error["loc"] if part != "[key]")
    value = error["input"]
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            near = get_close_matches(str(location[-1]), keys_beside(model, location), n=1, cutoff=0.6)
            remedy = f"Did you mean '{near[0]}'?" if near else "Remove it, or mend its spelling"
            return Problem(location, value, f"unknown key '{location[-1]}'", remedy)
        case "missing":
            return Problem(location, None, f"'{location[-1]}' is missing", "Add it")
        case "string_pattern_mismatch":
            return Problem(location, value, f"{value!r} does not fit", f"It must match {context['pattern']}")
        case "value_error":
            # The sentence of our own validators: "<what is wrong>: <what would be right>".
            says, _, remedy = str(context["error"]).partition(": ")
            return Problem(location, value, says, f"Right is {remedy}" if remedy else "Mend it")
        case _:
            return Problem(location, value, f"{value!r} does not fit", str(error["msg"]))
