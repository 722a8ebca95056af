"""As much of a wrong site file as has the right shape, so that everything that is wrong can be told at once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

from pydantic import ValidationError

from bluefleet.model._node import Node
from bluefleet.model._problems import Location, Problem
from bluefleet.model._site import Site


@dataclass(frozen=True)
class Partial:
    """A site, without those of its parts that have the wrong shape."""

    site: Site
    _kept: dict[Location, list[int]] = field(default_factory=dict[Location, list[int]])

    def as_written(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """The same problems of the site, at their places in the whole file."""
        return (replace(problem, location=self._as_written(problem.location)) for problem in problems)

    def _as_written(self, location: Location) -> Location:
        return tuple(
            self._kept[location[:depth]][part] if isinstance(part, int) and location[:depth] in self._kept else part
            for depth, part in enumerate(location)
        )


def well_shaped(content: Any, error: ValidationError) -> Partial | None:
    """What is left when parts with a wrong shape are out; None when that would make other parts wrong."""
    cuts: set[Location] = set()
    for each in error.errors(include_url=False):
        location = tuple(part for part in each["loc"] if part != "[key]")
        if each["type"] == "extra_forbidden":
            cuts.add(location)
        elif location[:1] == ("nodes",) and len(location) > 1:
            cuts.add(_part_of_node(location))
        elif location[:1] == ("hosts",) and len(location) > 1:
            cuts.add(location[:2])
            cuts |= {("nodes", n) for n, name in enumerate(_names_of_nodes(content)) if name == location[1]}
        else:
            return None
    kept: dict[Location, list[int]] = {}
    try:
        return Partial(Site.model_validate(_without(content, (), (), cuts, kept)), kept)
    except ValidationError:
        return None


def _part_of_node(location: Location) -> Location:
    """The device, the instance, the key if it may be left out, or else the node: without it nothing else gets wrong."""
    for key in location[2:3]:
        of_node = Node.model_fields.get(str(key))
        if of_node is not None and not of_node.is_required() and key != "instances":
            return location[:3]
    if location[2:3] == ("instances",) and len(location) > 3:
        return location[:6] if location[4:5] == ("devices",) and len(location) > 5 else location[:4]
    return location[:2]


def _names_of_nodes(content: Any) -> list[Any]:
    nodes = content.get("nodes")
    listed = cast("list[Any]", nodes) if isinstance(nodes, list) else []
    return [cast("dict[str, Any]", node).get("name") if isinstance(node, dict) else None for node in listed]


def _without(value: Any, here: Location, new: Location, cuts: set[Location], kept: dict[Location, list[int]]) -> Any:
    """The value at `here` without what is cut; `kept` says of each list at its new place which elements stay."""
    if isinstance(value, dict):
        content = cast("dict[str, Any]", value)
        return {
            key: _without(each, (*here, key), (*new, key), cuts, kept)
            for key, each in content.items()
            if (*here, key) not in cuts
        }
    if isinstance(value, list):
        elements = cast("list[Any]", value)
        kept[new] = [n for n in range(len(elements)) if (*here, n) not in cuts]
        return [_without(elements[n], (*here, n), (*new, at), cuts, kept) for at, n in enumerate(kept[new])]
    return value
