"""What the queue is told of a plan's parameters that take devices: which there are, so that it refuses any other name.

Left alone, it takes any text for a device, and the plan fails when it runs. The lists are patterns here; the queue writes
names in their place whenever devices join or leave, and takes out what a group may not use.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportMissingTypeStubs=false
# (the queue has no types)
from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any, get_type_hints

from bluesky_queueserver import parameter_annotation_decorator

from bluefleet.acquisition.annotation_words import DEVICE_WORDS, in_words

# The device and its parts, det.val and stage.x: each name stands in the list of each such parameter of each plan.
DEPTH = 2
# As deep as user_group_permissions.yaml allows.
WHOLE_DEPTH = 5
# Of what names_devices returns: itself, and what it was given.
_GIVEN = "_names_devices_of_"


def names_devices(plan: Any, depth: int = DEPTH, **types: str) -> Any:
    """The same plan, which tells the queue what names its parameters take.

    Its annotations say which of them take devices. A plan that was decorated for the queue by its author, or that has
    nothing to tell, is returned as it is.

    :param depth: 1 of devices alone, 2 of their parts, too, and so on
    :param types: of parameters that are annotated too widely or wrongly, in the queue's words
    """
    if hasattr(plan, "_custom_parameter_annotation_"):
        return plan
    signature = inspect.signature(plan)
    names = getattr(inspect.unwrap(plan), "__globals__", {})
    read = {name: _meaning(each.annotation, names) for name, each in signature.parameters.items()}
    found = {**_of_annotations(read), **types}
    if not found and all(read[name] is each.annotation for name, each in signature.parameters.items()):
        return plan
    parameters = {name: {"annotation": type_, "devices": _lists(type_, depth)} for name, type_ in found.items()}
    told: Any = parameter_annotation_decorator({"parameters": parameters})(plan)
    told.__signature__ = signature.replace(
        parameters=[each.replace(annotation=read[name]) for name, each in signature.parameters.items()]
    )
    setattr(told, _GIVEN, (told, plan))
    return told


def without_names(plan: Any) -> Any:
    """What names_devices was given; any other plan as it is, a person's own around one of those among them."""
    told, given = getattr(plan, _GIVEN, (None, None))
    # functools.wraps copies the attribute to what stands around it.
    return given if told is plan else plan


def _meaning(annotation: Any, names: dict[str, Any]) -> Any:
    """With the texts in it read as their module does, as the queue can't; nothing where one names what is imported for
    type checkers alone."""
    if annotation is inspect.Parameter.empty:
        return annotation
    holder: Any = SimpleNamespace(__annotations__={"it": annotation})
    try:
        return get_type_hints(holder, names, include_extras=True)["it"]
    except Exception:  # noqa: BLE001  (of a site: it may raise anything)
        return inspect.Parameter.empty


def _of_annotations(annotations: dict[str, Any]) -> dict[str, str]:
    """Those with devices in them. Beside Any nothing is refused: a text may be meant as one."""
    types = {name: in_words(each) or "" for name, each in annotations.items()}
    return {
        name: type_
        for name, type_ in types.items()
        if any(word in type_ for word in DEVICE_WORDS) and "typing.Any" not in type_
    }


def _lists(type_: str, depth: int) -> dict[str, list[str]]:
    return {word: [f":?.*:depth={depth}"] for word in DEVICE_WORDS if word in type_}
