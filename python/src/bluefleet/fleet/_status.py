"""The state of the fleet, all nodes at once, worst first."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bluefleet.engine import Container, ContainerSpec, Deadlines, Engine, EngineError
from bluefleet.fleet._backoff import Trouble
from bluefleet.fleet._desired import Desired, desired
from bluefleet.fleet._devices import devices_status
from bluefleet.fleet._disk import Disk, measure, remember, remembered
from bluefleet.fleet._document_path import document_path
from bluefleet.fleet._holders import Holder, Holders, holders
from bluefleet.fleet._lock import owner
from bluefleet.fleet._manager_services import fleet_service
from bluefleet.fleet._moved import taken_over, takes_away
from bluefleet.fleet._orphans import orphans
from bluefleet.fleet._overrides import Override, Overrides
from bluefleet.fleet._pace import Pace, at_pace
from bluefleet.fleet._plan import drift, instance_of
from bluefleet.fleet._queue_status import queue_status, with_worker
from bluefleet.fleet._refused_devices import silenced_devices
from bluefleet.fleet._render import endpoint, selection
from bluefleet.fleet._report import (
    DevicesStatus,
    DocumentService,
    InstanceStatus,
    NodeStatus,
    QueueStatus,
    StatusReport,
)
from bluefleet.fleet._selection import Chosen, Selection, select
from bluefleet.fleet._settings import Settings
from bluefleet.fleet._state import State
from bluefleet.fleet._troubles import troubles
from bluefleet.model import Site

# Seconds. Time stamps of documents and of certificates begin to be wrong with it.
_CLOCK_OFF = 2.0
# What its engine started again has got over its trouble then, if nothing checks its health.
_UP_FOR_LONG = timedelta(minutes=1)


async def status(
    site: Site, settings: Settings, *, deadline: float, chosen: Selection | None = None, measure_disks: bool = False
) -> StatusReport:
    """Ask every node (or what was `chosen`), each with `deadline` seconds. One that does not answer delays no other.

    With `measure_disks` each node also runs a process that looks. Raises StateUnusable.
    """
    state = State(settings.state_file)
    known = Known.now(state)
    pace = Pace()
    looking = Looking(site, settings, deadline, known, pace=pace, measure_disks=measure_disks)

    async def look(one: Chosen) -> NodeStatus:
        return (await looking.at(one)).status

    beside = asyncio.create_task(look_beside(site, settings, deadline=deadline))
    service = asyncio.create_task(asyncio.to_thread(fleet_service, settings, deadline=deadline))
    found = await at_pace((look(one) for one in chosen or select(site)), pace)
    if measure_disks:
        remember(state, {node.name: node.disk for node in found if node.disk is not None})
    report = status_of(site, known.overrides, found, await beside, chosen=chosen)
    report = report.model_copy(update={"service": await service})
    return report.model_copy(update={"ok": not report.not_well})


@dataclass(frozen=True, slots=True)
class Beside:
    """What depends on the nodes: devices, the document path, the queue."""

    devices: DevicesStatus
    documents: list[DocumentService] = field(default_factory=list[DocumentService])
    queue: QueueStatus | None = None


async def look_beside(site: Site, settings: Settings, *, deadline: float) -> Beside:
    """Ask the queue and the services of the document path, all at once, each with `deadline` seconds to answer."""
    devices, documents, queue = await asyncio.gather(
        asyncio.to_thread(devices_status, site, settings, deadline=deadline),
        asyncio.to_thread(document_path, site, settings, deadline=deadline),
        asyncio.to_thread(queue_status, site, settings, deadline=deadline),
    )
    return Beside(devices, documents, with_worker(queue, documents))


def status_of(
    site: Site, overrides: Overrides, nodes: Sequence[NodeStatus], beside: Beside, *, chosen: Selection | None = None
) -> StatusReport:
    """The report of what was found on the nodes, those that were `chosen`."""
    silenced = silenced_devices(site, overrides)
    troubled = {name: reason for name, reason in beside.devices.unreachable.items() if name not in silenced}
    if chosen is not None:
        # Who asks about one node is told of its devices.
        here = {(node.name, instance.name) for node, instance in chosen.placed}
        served = {one.device.name for one in site.placed_devices() if (one.node.name, one.instance.name) in here}
        troubled = {name: reason for name, reason in troubled.items() if name in served}
    known = beside.devices.model_copy(update={"unreachable": troubled})
    ordered = sorted((_with_devices(site, node, known.unreachable) for node in nodes), key=_badness)
    report = StatusReport(
        site=site.site,
        ok=True,
        nodes=ordered,
        devices=known,
        documents=beside.documents,
        orphans=_orphans_of(site, overrides, chosen),
        queue=beside.queue,
    )
    return report.model_copy(update={"ok": not report.not_well})


def _orphans_of(site: Site, overrides: Overrides, chosen: Selection | None) -> list[Override]:
    found = orphans(site, overrides)
    if chosen is None or not chosen.named:
        return found
    whole = {one.node.name for one in chosen if one.whole}
    return [one for one in found if one.node in whole]


@dataclass(frozen=True, slots=True)
class Known:
    """What the state file has that nodes are looked at with."""

    overrides: Overrides = field(default_factory=Overrides)
    disks: Mapping[str, Disk] = field(default_factory=dict[str, Disk])
    troubles: Mapping[tuple[str, str], Trouble] = field(default_factory=dict[tuple[str, str], Trouble])
    holders: Holders = field(default_factory=dict[tuple[str, str], Holder])

    @classmethod
    def now(cls, state: State) -> "Known":
        """As it is now. Raises StateUnusable."""
        return cls(Overrides.now(state), remembered(state), troubles(state), holders(state))


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a node; without containers when it did not answer."""

    status: NodeStatus
    containers: tuple[Container, ...] = ()


class Looking:
    """What all nodes are looked at with; `deadline` is each node's, in seconds, without its waits for a turn."""

    def __init__(
        self,
        site: Site,
        settings: Settings,
        deadline: float,
        known: Known,
        *,
        pace: Pace | None = None,
        measure_disks: bool = False,
    ) -> None:
        self._site = site
        self._settings = settings
        self._deadline = deadline
        self._known = known
        self._overrides = known.overrides
        self._pace = pace or Pace()
        self._measure_disks = measure_disks

    async def at(self, chosen: Chosen) -> Look:
        """One node, with those of its instances that were chosen."""
        node = chosen.node
        deadlines = Deadlines(connect=min(self._deadline, Deadlines().connect), answer=self._deadline)
        disk = self._known.disks.get(node.name)
        containers: tuple[Container, ...] = ()
        version, reason, remedy = "", "", ""
        skew: float | None = None
        instances: list[InstanceStatus] = []
        try:
            async with Engine(endpoint(node, self._settings), deadlines) as engine:
                # All are connected to before one is asked: what hangs is waited for meanwhile.
                async with self._pace.turn():
                    await engine.reach()
                async with self._pace.turn():
                    seen = await engine.observe(selection(self._site, node))
                if self._measure_disks:
                    disk = await measure(engine, seen.containers, within=self._deadline) or disk
            version, skew, containers = seen.version, seen.clock_skew, seen.containers
            instances = self._instances(chosen, seen.containers)
        except EngineError as error:
            reason, remedy = f"{error.tried}: {error.reason}", error.remedy
        worker = owner(self._settings.locks_folder, node.name)
        found = NodeStatus(
            name=node.name,
            address=node.address,
            transport=node.transport,
            reachable=not reason,
            engine_version=version,
            reason=reason,
            remedy=remedy,
            instances=instances,
            clock_skew_seconds=skew,
            disk=disk,
            problems=[words for words in (_clock_trouble(skew), disk.trouble if disk else "") if words],
            overrides=self._overrides.of_node(node.name),
            busy=worker.words if worker else "",
        )
        return Look(found, containers)

    def _instances(self, chosen: Chosen, containers: Sequence[Container]) -> list[InstanceStatus]:
        wanted = desired(self._site, chosen.node, self._overrides)
        there = {container.name: container for container in containers}
        found = {one.name: one for one in instances_status([w.spec for w in wanted], containers, datetime.now(UTC))}
        for one in wanted:
            seen = found[one.declared.name]
            reason = _reason(one, seen, there.get(one.spec.name))
            trouble = self._known.troubles.get((chosen.node.name, seen.name))
            update: dict[str, Any] = {"overrides": list(one.overrides), "reason": reason, "simulated": one.simulated}
            # Another spec is another thing.
            if trouble is not None and trouble.spec == one.spec.sha256:
                if trouble.gave_up and reason:
                    update["reason"] = f"{reason}; {trouble.words}"
                update |= {"tries": trouble.tries, "gave_up": trouble.gave_up}
            found[seen.name] = seen.model_copy(update=update)
        for name, taken in taken_over(self._site, chosen.node, self._known.holders).items():
            if name in found:
                seen, trouble = found[name], self._known.troubles.get((chosen.node.name, name))
                gave_up = trouble.fact if trouble and trouble.gave_up and not trouble.spec else ""
                why = taken.left(seen.state, gave_up, takes_away(chosen.node, self._overrides))
                found[name] = seen.model_copy(update={"reason": why})
        names = {instance.name for instance in chosen.instances}
        declared = {one.declared.name for one in wanted}
        shown = [
            instance
            for instance in found.values()
            if instance.name in names or (chosen.whole and instance.name not in declared)
        ]
        return sorted(shown, key=_instance_badness)


def _reason(wanted: Desired, seen: InstanceStatus, container: Container | None) -> str:
    """What is wrong with it, given what operators want of it."""
    running = container is not None and container.state in {"running", "restarting", "paused"}
    if wanted.stopped:
        return f"it runs, but is {wanted.stopped}" if running else ""
    if wanted.held and container is not None:
        # That it differs is what was asked for.
        return _sick(container, datetime.now(UTC))
    return seen.reason


def _with_devices(site: Site, node: NodeStatus, silent: Mapping[str, str]) -> NodeStatus:
    devices: dict[str, list[str]] = {}
    for placed in site.placed_devices():
        if placed.node.name == node.name:
            devices.setdefault(placed.instance.name, []).append(placed.device.name)
    instances = [
        instance.model_copy(
            update={
                "devices": len(devices.get(instance.name, [])),
                "devices_silent": [name for name in devices.get(instance.name, []) if name in silent],
            }
        )
        for instance in node.instances
    ]
    return node.model_copy(update={"instances": instances})


def _clock_trouble(skew: float | None) -> str:
    if skew is None or abs(skew) < _CLOCK_OFF:
        return ""
    return (
        f"its clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the manager's: look at its time service"
    )


def instances_status(
    specs: Sequence[ContainerSpec], containers: Sequence[Container], now: datetime
) -> list[InstanceStatus]:
    """What is declared and what is there, side by side, worst first."""
    wanted: Mapping[str, ContainerSpec] = {spec.name: spec for spec in specs}
    there = {container.name: container for container in containers}
    found = [_instance_status(wanted[name], there.get(name), now) for name in wanted]
    found += [_extra(container, now) for name, container in there.items() if name not in wanted]
    return sorted(found, key=lambda instance: (instance.ok, instance.name))


def _instance_status(spec: ContainerSpec, container: Container | None, now: datetime) -> InstanceStatus:
    differs = drift(spec, container)
    name = spec.name.removeprefix("bluefleet-")
    if container is None:
        return InstanceStatus(
            name=name,
            state="missing",
            health="",
            uptime_seconds=None,
            restarts=0,
            exit_code=None,
            digest="",
            drift=list(differs),
            reason="declared, but not there",
        )
    reasons = [_sick(container, now), f"its {' and '.join(differs)} differs from what is declared" if differs else ""]
    return _seen(name, container, now).model_copy(
        update={"drift": list(differs), "reason": "; ".join(reason for reason in reasons if reason)}
    )


def _extra(container: Container, now: datetime) -> InstanceStatus:
    seen = _seen(instance_of(container) or container.name, container, now)
    return seen.model_copy(update={"drift": ["extra"], "reason": "there, but not declared"})


def _seen(name: str, container: Container, now: datetime) -> InstanceStatus:
    running = container.running and container.started is not None
    return InstanceStatus(
        name=name,
        state=container.state,
        health=container.health,
        uptime_seconds=(now - container.started).total_seconds() if running and container.started else None,
        restarts=container.restarts,
        exit_code=None if running else container.exit_code,
        digest=container.digest,
        container=container.id,
        drift=[],
        reason="",
    )


def _sick(container: Container, now: datetime) -> str:
    if container.health == "unhealthy":
        return "its health check fails"
    restarted = f"its engine restarts it, {container.restarts} times so far"
    if container.running:
        return f"{restarted}, and it is not up for long" if _in_a_loop(container, now) else ""
    if container.state == "restarting":
        return f"{restarted}; it ended with {container.exit_code}"
    ended = f"{container.state}, it ended with {container.exit_code}" if container.finished else container.state
    return f"{ended}: {container.reason}" if container.reason else ended


def _in_a_loop(container: Container, now: datetime) -> bool:
    """Whether it may end again at once, as it did before; one that is healthy has got over that."""
    if not container.restarts or container.health == "healthy" or container.started is None:
        return False
    return container.health == "starting" or now - container.started < _UP_FOR_LONG


def _badness(node: NodeStatus) -> tuple[bool, bool, bool, str]:
    return (node.disabled, node.reachable, node.ok, node.name)


def _instance_badness(instance: InstanceStatus) -> tuple[bool, bool, str]:
    return (instance.ok, not instance.overrides, instance.name)
