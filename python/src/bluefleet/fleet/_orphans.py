"""Overrides of what the site no longer declares: they change nothing now, and would again if it came back."""

from collections.abc import Sequence

from bluefleet.fleet._overrides import Override, Overrides
from bluefleet.model import Site


def orphans(site: Site, overrides: Overrides) -> list[Override]:
    """Those of nodes, and of instances on a node, that are not declared."""
    places = {(node.name, "") for node in site.nodes}
    places |= {(node.name, instance.name) for node in site.nodes for instance in node.instances}
    return [one for one in overrides.all if (one.node, one.instance) not in places]


def orphans_named(site: Site, found: Sequence[Override], targets: Sequence[str]) -> tuple[list[Override], list[str]]:
    """Those that `targets` (NODE, NODE/INSTANCE, or INSTANCE wherever it was) name, and the targets for `select`.

    One name may be both: an instance that is declared on one node, and is no longer on another.
    """
    chosen = [one for one in found if any(_names(target, one.node, one.instance) for target in targets)]
    places = [(node.name, instance.name) for node in site.nodes for instance in node.instances]
    places += [(node.name, "") for node in site.nodes]
    gone = {
        target
        for target in targets
        if any(_names(target, one.node, one.instance) for one in chosen)
        and not any(_names(target, *place) for place in places)
    }
    return chosen, [target for target in targets if target not in gone]


def _names(target: str, node: str, instance: str) -> bool:
    """Whether it names that place, or the node that it is on."""
    of_node, slash, of_instance = target.partition("/")
    if slash:
        return of_node == node and of_instance in {"", instance}
    return target in {node, instance}
