"""The plans of a site's own packages: what the modules in ``acquisition_plans`` offer to the queue.

A module offers what its ``__all__`` names, or without that each public plan that it defines itself; what it only imports
is not its own. A plan is what the queue takes for one: a generator function, or one with Bluesky's ``plan`` decorator.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# (bluesky's decorated functions have partial types)
from __future__ import annotations

import importlib
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from bluesky.utils import is_plan

from bluefleet.acquisition.device_names import names_devices, without_names

PROJECT = "bluefleet"


@dataclass
class SitePlans:
    """The plans of all modules by name, and what is not among them: a sentence each, which names its module."""

    plans: dict[str, Any] = field(default_factory=dict[str, Any])
    refusals: list[str] = field(default_factory=list[str])


def load_site_plans(modules: Iterable[str], taken: Mapping[str, Any]) -> SitePlans:
    """Import the modules, each by itself: one that is broken, or offers a name twice, costs the site no other.

    :param taken: the names that plans already have in the namespace; none of them is ever replaced
    """
    found = SitePlans()
    owners: dict[str, str] = {}
    for name in dict.fromkeys(modules):
        try:
            offered = _offered(importlib.import_module(name))
        except (Exception, SystemExit) as error:  # noqa: BLE001  (a site's module is foreign code: it may raise anything)
            found.refusals.append(f"plans of {name} are not available: {_in_words(error, name)}")
            continue
        if not offered:
            found.refusals.append(
                f"{name} has no plans: a plan is a public function with a 'yield', defined there or named in its __all__"
            )
        for plan_name, plan in offered.items():
            if _is_the_same(plan, taken.get(plan_name)) or _is_the_same(plan, found.plans.get(plan_name)):
                continue  # imported from there
            if plan_name in taken or plan_name in found.plans:
                owner = owners.get(plan_name) or _owner(taken[plan_name])
                found.refusals.append(
                    f"plan {plan_name} of {name} is not available: {owner} has the name {plan_name}, "
                    "and keeps it; give one of them another name"
                )
                continue
            found.plans[plan_name] = names_devices(plan)
            owners[plan_name] = name
    return found


def _offered(module: ModuleType) -> dict[str, Any]:
    """The module's public plans; AttributeError when ``__all__`` names what isn't there."""
    named: list[str] | None = getattr(module, "__all__", None)
    if named is not None:
        return {name: each for name in named if is_plan(each := getattr(module, name))}
    return {
        name: each
        for name, each in vars(module).items()
        if not name.startswith("_") and is_plan(each) and getattr(each, "__module__", None) == module.__name__
    }


def _is_the_same(one: Any, other: Any) -> bool:
    """Whether the queue was told of its devices or not. What a site has put around a plan is another one."""
    return other is not None and without_names(one) is without_names(other)


def _owner(thing: Any) -> str:
    """Who has a name already, in words that a person can follow."""
    module = str(getattr(thing, "__module__", None) or PROJECT)
    return f"this project ({module})" if module.split(".", maxsplit=1)[0] in (PROJECT, "bluesky") else module


def _in_words(error: BaseException, module: str) -> str:
    """The error and where it was raised: a traceback would be mostly of the import system."""
    if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
        return f"there is no module {error.name} in this image; is its package in acquisition_packages?"
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({error.filename}:{error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    where = frames[-1] if frames and Path(frames[-1].filename) != Path(__file__) else None
    place = f" ({where.filename}:{where.lineno})" if where else ""
    return f"{type(error).__name__}: {error}{place}"
