"""What the queue is told of a plan's parameters that take devices: which there are, so that it refuses any other name.

Left alone, it takes any text for a device, and the plan fails when it runs. The lists are patterns here; the queue writes
names in their place whenever devices join or leave, and takes out what a group may not use.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportMissingTypeStubs=false
# (the queue has no types)
from __future__ import annotations

import inspect
from typing import Any

from bluesky_queueserver import parameter_annotation_decorator
from bluesky_queueserver.manager.profile_ops import existing_plans_and_devices_from_nspace

# As deep as user_group_permissions.yaml allows.
ALL_DEVICES = ":?.*:depth=5"
# The queue's own words, which it puts in the place of Bluesky's protocols.
DEVICE = "__DEVICE__"
_WORDS = ("__READABLE__", "__MOVABLE__", "__FLYABLE__", DEVICE)
# Of what names_devices returns: itself, and what it was given.
_GIVEN = "_names_devices_of_"


def names_devices(plan: Any, **types: str) -> Any:
    """The same plan, which tells the queue what names its parameters take.

    Its annotations say which of them take devices. A plan that was decorated for the queue by its author, or that the
    queue can't describe, is returned as it is.

    :param types: of parameters that are annotated too widely or wrongly, in the queue's words
    """
    told = _told(plan, types)
    if told is not plan:
        setattr(told, _GIVEN, (told, plan))
    return told


def without_names(plan: Any) -> Any:
    """What names_devices was given; any other plan as it is, a person's own around one of those among them."""
    told, given = getattr(plan, _GIVEN, (None, None))
    # functools.wraps copies the attribute to what stands around it.
    return given if told is plan else plan


def _told(plan: Any, types: dict[str, str]) -> Any:
    if hasattr(plan, "_custom_parameter_annotation_"):
        return plan
    plan = _with_annotations_as_objects(plan)
    described, *_ = existing_plans_and_devices_from_nspace(nspace={"it": plan}, ignore_invalid_plans=True)
    if "it" not in described:
        return plan
    found = {**_of_classes(plan), **_of_protocols(described["it"]["parameters"]), **types}
    if not found:
        return plan
    told = {name: {"annotation": type_, "devices": _lists(type_)} for name, type_ in found.items()}
    return parameter_annotation_decorator({"parameters": told})(plan)


def _with_annotations_as_objects(plan: Any) -> Any:
    """For plans of a module with ``from __future__ import annotations``: the queue refuses all that is said to be a text."""
    signature = inspect.signature(plan)
    texts = [each for each in signature.parameters.values() if isinstance(each.annotation, str)]
    if not texts:
        return plan
    names = getattr(inspect.unwrap(plan), "__globals__", {})
    objects = {each.name: each.replace(annotation=_object(each.annotation, names)) for each in texts}
    told: Any = parameter_annotation_decorator({})(plan)
    told.__signature__ = signature.replace(parameters=list({**signature.parameters, **objects}.values()))
    return told


def _object(annotation: str, names: dict[str, Any]) -> Any:
    """What it means in its module; nothing where it names what is imported for type checkers alone."""
    try:
        return eval(annotation, names)  # noqa: S307  (it is the module's own program)
    except Exception:  # noqa: BLE001  (of a site: it may raise anything)
        return inspect.Parameter.empty


def _of_protocols(parameters: list[dict[str, Any]]) -> dict[str, str]:
    """Parameters whose annotation is made of protocols. Beside Any nothing is refused: a text may be meant as one."""
    types = {each["name"]: each.get("annotation", {}).get("type", "") for each in parameters}
    return {name: type_ for name, type_ in types.items() if _lists(type_) and "typing.Any" not in type_}


def _of_classes(plan: Any) -> dict[str, str]:
    """Parameters whose annotation is a class of devices, of which the queue makes nothing."""
    annotations = {each.name: each.annotation for each in inspect.signature(plan).parameters.values()}
    marks = ("describe", "children", "kickoff")
    return {
        name: DEVICE
        for name, each in annotations.items()
        if inspect.isclass(each) and any(hasattr(each, mark) for mark in marks)
    }


def _lists(type_: str) -> dict[str, list[str]]:
    return {word: [ALL_DEVICES] for word in _WORDS if word in type_}
