"""An annotation in the words of the queue, which writes types as texts and has names for those of devices.

Its own translation knows Bluesky's protocols, but no class of devices.
"""

from __future__ import annotations

import inspect
from collections import abc
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from bluesky import protocols

# What it calls any device.
DEVICE = "__DEVICE__"
_PROTOCOLS: dict[Any, str] = {
    protocols.Readable: "__READABLE__",
    protocols.Movable: "__MOVABLE__",
    protocols.NamedMovable: "__MOVABLE__",
    protocols.Flyable: "__FLYABLE__",
    protocols.Configurable: DEVICE,
    protocols.Triggerable: DEVICE,
    protocols.Locatable: DEVICE,
    protocols.Stageable: DEVICE,
    protocols.Pausable: DEVICE,
    protocols.Stoppable: DEVICE,
    protocols.Subscribable: DEVICE,
    protocols.Checkable: DEVICE,
}
DEVICE_WORDS = tuple(dict.fromkeys(_PROTOCOLS.values()))
# What a class of devices has, of either library.
_MARKS = ("describe", "children", "kickoff")
_CONTAINERS: dict[Any, str] = {
    Union: "typing.Union",
    UnionType: "typing.Union",
    dict: "dict",
    abc.Mapping: "collections.abc.Mapping",
    list: "list",
    tuple: "tuple",
    abc.Sequence: "collections.abc.Sequence",
    # A request has lists alone; the queue would not look into one that it takes for any of these.
    set: "list",
    frozenset: "list",
    abc.Collection: "list",
    abc.Iterable: "list",
}


def in_words(annotation: Any) -> str | None:
    """None where the queue has no words for it."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return in_words(inner[0])
    if origin is Literal:
        return repr(annotation)
    if not inner:
        return _of_one(annotation)
    if origin not in _CONTAINERS:
        # Movable[float]
        return _of_device(origin)
    words = [in_words(each) for each in inner]
    return None if None in words else f"{_CONTAINERS[origin]}[{', '.join(map(str, words))}]"


def _of_one(annotation: Any) -> str | None:
    if annotation is Ellipsis:
        return "..."
    if annotation is Any:
        return "typing.Any"
    if not inspect.isclass(annotation):
        return None
    return annotation.__name__ if annotation.__module__ == "builtins" else _of_device(annotation)


def _of_device(class_: Any) -> str | None:
    return _PROTOCOLS.get(class_) or (DEVICE if any(hasattr(class_, mark) for mark in _MARKS) else None)
