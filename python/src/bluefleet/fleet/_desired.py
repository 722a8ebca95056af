"""What should be on a node: what is declared, and what operators changed for a while on top of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from bluefleet.engine import Container, ContainerSpec
from bluefleet.fleet._overrides import Override, Overrides
from bluefleet.fleet._plan import Step, instance_of, plan
from bluefleet.fleet._render import container_spec
from bluefleet.fleet._selection import Chosen
from bluefleet.fleet._twin import SIMULATED_LABEL, is_twin
from bluefleet.model import Instance, Node, Site

_DECLARED = "simulated by the inventory"


@dataclass(frozen=True, slots=True)
class Desired:
    """One instance as it should be.

    `held`: why `apply` leaves it as it is; `stopped`: why it should not run; `simulated`: why it is its twin.
    """

    declared: Instance
    instance: Instance
    spec: ContainerSpec
    overrides: tuple[Override, ...]
    held: str = ""
    stopped: str = ""
    simulated: str = ""

    @property
    def disabled(self) -> Override | None:
        """The override that takes it out of use."""
        return next((one for one in self.overrides if one.kind == "disabled"), None)


def desired(site: Site, node: Node, overrides: Overrides) -> list[Desired]:
    """Everything that should be on the node."""
    return [_desired(site, node, instance, overrides) for instance in node.instances]


def by_name(wanted: Sequence[Desired]) -> dict[str, Instance]:
    """The instances as they are declared, by name."""
    return {one.declared.name: one.declared for one in wanted}


def running_as(declared: Instance | None, container: Container) -> Instance | None:
    """What runs in the container, which need not be what is desired now: the instance as declared, or its twin."""
    if declared is None or not is_twin(container.labels):
        return declared
    return declared.twin()


def node_held(node: Node, overrides: Overrides) -> str:
    """Why `apply` leaves the whole node as it is; empty when it does not."""
    return next((one.words for one in overrides.of_node(node.name) if one.kind in {"disabled", "cordoned"}), "")


def steps_for(
    chosen: Chosen, wanted: Sequence[Desired], containers: Sequence[Container], overrides: Overrides, *, force: bool
) -> list[Step]:
    """The plan for what was chosen on a node, without what is held."""
    names = {instance.name for instance in chosen.instances}
    free = [one for one in wanted if one.declared.name in names and not one.held]
    of_free = {one.spec.name for one in free}
    known = {one.spec.name for one in wanted}
    extra_too = chosen.whole and not node_held(chosen.node, overrides)
    there = [one for one in containers if one.name in of_free or (extra_too and one.name not in known)]
    stopped = {one.declared.name: one.stopped for one in free if one.stopped}
    return plan([one.spec for one in free], there, stopped=stopped, force=force)


def held_steps(
    chosen: Chosen, wanted: Sequence[Desired], containers: Sequence[Container], *, force: bool = False
) -> list[tuple[Step, str]]:
    """What would be done to chosen instances if they were not held, each with who holds it and why."""
    names = {instance.name for instance in chosen.instances}
    held = {one.declared.name: one for one in wanted if one.held and one.declared.name in names}
    there = [one for one in containers if instance_of(one) in held]
    stopped = {name: one.stopped for name, one in held.items() if one.stopped}
    steps = plan([one.spec for one in held.values()], there, stopped=stopped, force=force)
    return [(step, held[step.instance].held) for step in steps if step.instance in held]


def _desired(site: Site, node: Node, instance: Instance, overrides: Overrides) -> Desired:
    first = partial(overrides.first, node.name, instance.name)
    here = tuple(overrides.of(node.name, instance.name))
    simulated, pinned, back = first("simulated"), first("pinned"), first("rolled-back")
    asked = simulated.words if simulated else _DECLARED if node.simulates(instance) else ""
    twin = instance.twin() if asked else None
    spec = container_spec(site, node, twin or instance)
    if twin is not None:
        # A twin that happens to be made like the real one is still another thing.
        spec = replace(spec, labels={**spec.labels, SIMULATED_LABEL: "true"})
    elif back is not None:
        spec = overrides.spec(back) or spec
    elif pinned is not None:
        spec = replace(spec, reference=pinned.value, digest=pinned.value.partition("@")[2])
    hold = first("disabled", "cordoned")
    held = hold.words if hold else ""
    if asked and twin is None:
        held = held or f"{asked}, but it declares no twin"
    if back is not None and twin is None and overrides.spec(back) is None:
        held = held or f"{back.words}, but that spec is not recorded any more"
    stop = first("stopped")
    return Desired(
        instance,
        twin or instance,
        spec,
        here,
        held=held,
        stopped=stop.words if stop else "",
        simulated=asked if twin else "",
    )
