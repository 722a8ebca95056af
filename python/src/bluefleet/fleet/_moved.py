"""What is left on a node of instances that another node has taken over.

A node that was off when its instance was declared on another one starts the old container when it comes back: two of one
instance would drive one piece of hardware, and answer to the same names. Pure functions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bluefleet.engine import Container
from bluefleet.fleet._holders import Holders, took_over
from bluefleet.fleet._overrides import Overrides
from bluefleet.fleet._plan import Step, instance_of
from bluefleet.model import Node, Site

_RUNS = {"running", "restarting", "paused"}


@dataclass(frozen=True, slots=True)
class TakenOver:
    """An instance that is declared on another node now, and has been well there since it last was here.

    `known`: it was well here before, so that what begins to run here later is what comes back.
    """

    node: str
    since: datetime
    known: bool = True

    @property
    def words(self) -> str:
        """As a person is told."""
        return f"it belongs to {self.node} now"

    def left(self, state: str, gave_up: str, remedy: str) -> str:
        """What status says of the container that is left, in this state; `gave_up` is that nobody stops it any more."""
        if state not in _RUNS:
            return f"stopped: {self.words}; {remedy}"
        words = f"there, but not declared: {self.words}"
        return f"{words}; {gave_up}; {remedy}" if gave_up else words


def takes_away(node: Node, overrides: Overrides) -> str:
    """What takes what is left away from the node: `apply`, once it touches the node again."""
    kinds = {one.kind for one in overrides.of_node(node.name)}
    # `clear` takes all away.
    first = "clear" if "cordoned" in kinds else "enable" if "disabled" in kinds else ""
    then = f"`bluefleet apply {node.name}`"
    return f"`bluefleet {first} {node.name}` and {then} take it away" if first else f"{then} takes it away"


def taken_over(site: Site, node: Node, known: Holders) -> dict[str, TakenOver]:
    """Instances that are not declared on the node, and that another one has taken over.

    A name that other nodes had all along is not taken over.
    """
    here = {instance.name for instance in node.instances}
    found: dict[str, TakenOver] = {}
    for other in site.nodes:
        for instance in other.instances:
            name = instance.name
            if name in here or not took_over(known, name, other.name, node.name):
                continue
            since = known[other.name, name].since
            if name not in found or found[name].since < since:
                found[name] = TakenOver(other.name, since, known=(node.name, name) in known)
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
    return taken.known and container.started is not None and container.started > taken.since
