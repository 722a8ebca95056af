"""What is left on a node of instances that another node has taken over.

A node that was off when its instance was declared on another one starts the old container when it comes back: two of one
instance would drive one piece of hardware, and answer to the same names. Pure functions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bluefleet.engine import Container
from bluefleet.fleet._overrides import Overrides
from bluefleet.fleet._plan import Step, instance_of
from bluefleet.model import Node, Site

_RUNS = {"running", "restarting", "paused"}


@dataclass(frozen=True, slots=True)
class TakenOver:
    """An instance that is declared on another node now, and has been well there since it last was here."""

    node: str
    since: datetime

    @property
    def words(self) -> str:
        """As a person is told."""
        return f"it belongs to {self.node} now"

    def left(self, state: str, node: str) -> str:
        """What status says of the container that is left on `node`, in this state."""
        if state in _RUNS:
            return f"there, but not declared: {self.words}"
        return f"stopped: {self.words}; `bluefleet apply {node}` takes it away"


def taken_over(site: Site, node: Node, applied: Mapping[tuple[str, str], datetime]) -> dict[str, TakenOver]:
    """Instances that are not declared on the node, and that another one has taken over.

    `applied` says when an instance was made on a node last. A name that other nodes had all along is not taken over.
    """
    here = {instance.name for instance in node.instances}
    found: dict[str, TakenOver] = {}
    for other in site.nodes:
        for instance in other.instances:
            since = applied.get((other.name, instance.name))
            if since is None or instance.name in here:
                continue
            before = applied.get((node.name, instance.name))
            known = found.get(instance.name)
            if (before is None or before < since) and (known is None or known.since < since):
                found[instance.name] = TakenOver(other.name, since)
    return found


def stops(
    node: Node, containers: Sequence[Container], taken: Mapping[str, TakenOver], overrides: Overrides
) -> list[Step]:
    """Stop what runs on the node of what others have taken over; what is cordoned stays as it is."""
    return [
        Step("stop", name, taken[name].words, container=container, returned=_returned(container, taken[name]))
        for container in containers
        if (name := instance_of(container)) in taken
        and container.state in _RUNS
        and overrides.first(node.name, name, "cordoned") is None
    ]


def _returned(container: Container, taken: TakenOver) -> bool:
    return container.started is not None and container.started > taken.since
