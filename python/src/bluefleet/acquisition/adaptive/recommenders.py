"""What a recommender is, and how one is found by its name."""

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

from bluefleet.acquisition.adaptive.errors import CampaignWrong

#: The ones of this project; a site's own are named by the path of their class.
BUILT_IN = {
    "step": "bluefleet.acquisition.adaptive.step.Step",
    "gaussian-process": "bluefleet.acquisition.adaptive.gaussian_process.GaussianProcess",
}


class Recommender(Protocol):
    """Decides where the next run measures. One object a campaign; nobody else calls it.

    It is made with `axes` (names of the devices that are moved), `fields` (what the detectors are read for) and the
    campaign's own arguments, all by keyword. What is wrong with them is a ValueError. It moves nothing and starts nothing
    when it is made: the plan makes one too, to find out before the first run.
    """

    def tell(self, x: Mapping[str, float], y: Mapping[str, float]) -> None:
        """A run: where it was measured, by axis, and every number that was read, by field."""
        ...

    def ask(self) -> Mapping[str, float] | None:
        """Where to measure next, by axis; None ends the campaign."""
        ...


def make(name: str, arguments: Mapping[str, Any], *, axes: Sequence[str], fields: Sequence[str]) -> Recommender:
    """A recommender that knows nothing yet. Raises CampaignWrong."""
    kind = _class_of(name)
    words = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    try:
        return kind(axes=list(axes), fields=list(fields), **arguments)
    except (TypeError, ValueError) as error:
        raise CampaignWrong(f"recommender {name!r} can't be made with ({words}): {error}") from error


def _class_of(name: str) -> Any:
    """The class; a queued plan names it, so nothing but a recommender is ever called."""
    module, _, last = BUILT_IN.get(name, name).rpartition(".")
    if not module:
        raise CampaignWrong(
            f"there is no recommender {name!r}: there are {', '.join(BUILT_IN)}, and a site's own by the path of its "
            "class, such as beamline7.recommenders.Spiral"
        )
    try:
        kind = getattr(importlib.import_module(module), last)
    except ModuleNotFoundError as error:
        remedy = "; is its package in acquisition_packages?" if f"{module}.".startswith(f"{error.name}.") else ""
        raise CampaignWrong(f"recommender {name!r}: there is no module {error.name} in this image{remedy}") from error
    except AttributeError as error:
        raise CampaignWrong(f"recommender {name!r}: module {module} has no {last}") from error
    except Exception as error:
        raise CampaignWrong(f"recommender {name!r} can't be imported: {type(error).__name__}: {error}") from error
    if not (
        inspect.isclass(kind) and all(callable(getattr(cast("Any", kind), verb, None)) for verb in ("tell", "ask"))
    ):
        raise CampaignWrong(f"{name!r} is no recommender: a recommender is a class with tell(x, y) and ask()")
    return cast("Any", kind)
