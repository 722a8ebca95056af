"""Which nodes and instances a person means. Names are compared whole: `cam1` is never `cam10`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bluefleet.model import Instance, Node, Site, did_you_mean


class SelectionInvalid(Exception):
    """A name that is nothing of the site, or names two things, or a choice that leaves nothing over."""

    def __init__(self, says: str, remedy: str) -> None:
        self.remedy = remedy
        super().__init__(says)


@dataclass(frozen=True, slots=True)
class Chosen:
    """One node and what was chosen on it. `whole`: the node itself, with whatever is on it, declared or not."""

    node: Node
    instances: tuple[Instance, ...]
    whole: bool

    @property
    def names(self) -> list[str]:
        """As they stand in history: the node, or node/instance."""
        if self.whole:
            return [self.node.name]
        return [f"{self.node.name}/{instance.name}" for instance in self.instances]


@dataclass(frozen=True, slots=True)
class Selection:
    """What was chosen, in the order of the site file. `named`: somebody named it, so nothing is silently left out."""

    chosen: tuple[Chosen, ...]
    named: bool

    def __iter__(self) -> Iterator[Chosen]:
        return iter(self.chosen)

    @property
    def names(self) -> list[str]:
        """As they stand in history."""
        return [name for chosen in self.chosen for name in chosen.names]

    @property
    def placed(self) -> list[tuple[Node, Instance]]:
        """Every chosen instance with its node."""
        return [(chosen.node, instance) for chosen in self.chosen for instance in chosen.instances]


def select(site: Site, targets: Sequence[str] = (), categories: Sequence[str] = ()) -> Selection:
    """What `targets` (NODE, NODE/INSTANCE, or INSTANCE wherever it is) name, narrowed to any of `categories`.

    Without either it is everything. Raises SelectionInvalid, which lists what exists.
    """
    wanted = _named(site, targets) if targets else {(node.name, "") for node in site.nodes}
    _check_categories(site, categories)
    found = tuple(chosen for node in site.nodes if (chosen := _chosen(node, wanted, categories)) is not None)
    if not found and (targets or categories):
        of = f" of category {' or '.join(categories)}" if categories else ""
        raise SelectionInvalid(f"nothing{of} is among {' '.join(targets) or 'all nodes'}", _what_exists(site))
    return Selection(found, named=bool(targets))


def categories_of(site: Site) -> list[str]:
    """Every category that something of the site has."""
    of_instances = (one for node in site.nodes for instance in node.instances for one in instance.categories)
    return sorted({*(one for node in site.nodes for one in node.categories), *of_instances})


def _named(site: Site, targets: Sequence[str]) -> set[tuple[str, str]]:
    """Pairs of node and instance; the instance is empty when the whole node is meant."""
    wanted: set[tuple[str, str]] = set()
    unknown: list[str] = []
    for target in targets:
        found = _meant(site, target)
        unknown += [] if found else [target]
        wanted |= found
    if unknown:
        raise SelectionInvalid(f"no node or instance is called {' or '.join(unknown)}", _what_exists(site, unknown))
    return wanted


def _meant(site: Site, target: str) -> set[tuple[str, str]]:
    node_name, slash, instance_name = target.partition("/")
    as_node = {(node.name, "") for node in site.nodes if node.name == node_name and not instance_name}
    if slash:
        inside = {(node.name, one.name) for node in site.nodes if node.name == node_name for one in node.instances}
        return as_node or inside & {(node_name, instance_name)}
    as_instance = {(node.name, one.name) for node in site.nodes for one in node.instances if one.name == target}
    if as_node and as_instance:
        places = " or ".join(f"{node}/{instance}" for node, instance in sorted(as_instance))
        raise SelectionInvalid(
            f"{target} is a node and an instance", f"Write {target}/ for the node, {places} for the instance"
        )
    return as_node or as_instance


def _chosen(node: Node, wanted: set[tuple[str, str]], categories: Sequence[str]) -> Chosen | None:
    whole = (node.name, "") in wanted
    of_node = not categories or not set(categories).isdisjoint(node.categories)
    instances = tuple(
        instance
        for instance in node.instances
        if (whole or (node.name, instance.name) in wanted)
        and (of_node or not set(categories).isdisjoint(instance.categories))
    )
    if not instances and not (whole and of_node):
        return None
    return Chosen(node, instances, whole=whole and of_node)


def _check_categories(site: Site, categories: Sequence[str]) -> None:
    known = categories_of(site)
    unknown = [name for name in categories if name not in known]
    if unknown:
        raise SelectionInvalid(
            f"nothing is of category {' or '.join(unknown)}", f"Categories are {', '.join(known) or 'not declared'}"
        )


def _what_exists(site: Site, unknown: Sequence[str] = ()) -> str:
    nodes = [node.name for node in site.nodes]
    placed = [f"{node.name}/{instance.name}" for node in site.nodes for instance in node.instances]
    short = [instance.name for node in site.nodes for instance in node.instances]
    near = [did_you_mean(name, [*nodes, *placed, *short]) for name in unknown]
    hints = [hint for hint in near if hint.startswith("Did you")]
    listed = f"Nodes are {', '.join(nodes) or 'none'}; instances are {', '.join(placed) or 'none'}"
    return " ".join([*hints, listed])
