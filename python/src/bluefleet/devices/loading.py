"""From the registry (a happi JSON file made by ``bluefleet apply``) to device objects, not yet connected."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportMissingTypeStubs=false
# (happi has no types)
from __future__ import annotations

import importlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from happi import Client, SearchResult
from happi.loader import from_container


class ClassMissing(Exception):
    """A device class can't be imported."""


class RegistryUnreadable(Exception):
    """The registry file is missing or is no happi database."""


@dataclass(frozen=True)
class Declared:
    """What the registry says of one device. Two that compare equal need no reload."""

    name: str
    device_class: str
    prefix: str
    made_from: str = field(repr=False)
    #: Read at both ends of each run. No reason to load the device anew.
    baseline: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Loaded:
    """The objects that could be made, and for each of the others why not."""

    devices: dict[str, Any]
    refused: dict[str, str]


def import_class(dotted: str) -> Any:
    """The class behind ``package.module.Class``; raises ClassMissing naming what was looked for."""
    module_name, _, class_name = dotted.rpartition(".")
    if not module_name:
        raise ClassMissing(f"{dotted} is no dotted path to a class, like bluefleet.devices.Axis")
    try:
        return getattr(importlib.import_module(module_name), class_name)
    except ImportError as error:
        raise ClassMissing(f"{dotted}: {error}; is its package in acquisition_packages?") from error
    except AttributeError as error:
        raise ClassMissing(f"{dotted}: module {module_name} has no {class_name}") from error


def read_registry(path: Path) -> dict[str, Declared]:
    """Every device the registry lists, by name; empty when the file isn't there yet (nothing was applied so far)."""
    return {name: declared for name, (declared, _) in _items(path).items()}


def load(path: Path, only: set[str] | None = None) -> Loaded:
    """Make the objects of the registry, or of those in ``only``. Nothing is connected here.

    One device that can't be made stops no other: its class is the site's own code, which may raise anything.
    """
    devices: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for name, (declared, found) in _items(path).items():
        if only is not None and name not in only:
            continue
        try:
            import_class(declared.device_class)
            devices[name] = from_container(found.item, attach_md=False, use_cache=False)
        except ClassMissing as error:
            refused[name] = str(error)
        except Exception as error:  # noqa: BLE001  (a device class is foreign code)
            refused[name] = f"{declared.device_class}({declared.prefix!r}) raised {type(error).__name__}: {error}"
    return Loaded(devices, refused)


def _items(path: Path) -> dict[str, tuple[Declared, SearchResult]]:
    if not path.exists():
        return {}
    try:
        results = cast("list[SearchResult]", Client(path=str(path)).search())
    except (OSError, json.JSONDecodeError, ValueError) as error:
        raise RegistryUnreadable(f"{path}: {error}; write it anew with 'bluefleet apply'") from error
    items: dict[str, tuple[Declared, SearchResult]] = {}
    for found in results:
        facts = dict(found.item.post())
        made_from = json.dumps(
            [facts.get(key) for key in ("device_class", "prefix", "args", "kwargs")], sort_keys=True, default=str
        )
        name = str(facts["name"])
        declared = Declared(
            name,
            str(facts["device_class"]),
            str(facts.get("prefix") or ""),
            made_from,
            baseline=facts.get("baseline") is True,
        )
        items[name] = (declared, found)
    return items
