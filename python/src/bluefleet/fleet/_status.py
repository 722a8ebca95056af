"""The state of the fleet, all nodes at once, worst first."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from bluefleet.engine import Container, ContainerSpec, Deadlines, Engine, EngineError
from bluefleet.fleet._devices import devices_status
from bluefleet.fleet._document_path import document_path
from bluefleet.fleet._plan import drift, instance_of
from bluefleet.fleet._render import container_spec, endpoint, selection
from bluefleet.fleet._report import InstanceStatus, NodeStatus, StatusReport
from bluefleet.fleet._selection import select
from bluefleet.fleet._settings import Settings
from bluefleet.model import Node, Site

# More at once would only wait for each other: TLS costs processor time on this side.
_AT_ONCE = 64


async def status(site: Site, settings: Settings, *, deadline: float, nodes: Sequence[str] = ()) -> StatusReport:
    """Ask every node (or those of `nodes`), each with `deadline` seconds. One that does not answer delays no other."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def look(node: Node) -> NodeStatus:
        async with room:
            return await _node_status(site, node, settings, deadline)

    devices = asyncio.create_task(asyncio.to_thread(devices_status, site, settings, deadline=deadline))
    documents = asyncio.create_task(asyncio.to_thread(document_path, site, settings, deadline=deadline))
    found = await asyncio.gather(*(look(node) for node in (chosen.node for chosen in select(site, nodes))))
    ordered = sorted(found, key=_badness)
    known = await devices
    services = await documents
    ok = all(part.ok for part in (*found, known, *services))
    return StatusReport(site=site.site, ok=ok, nodes=ordered, devices=known, documents=services)


async def _node_status(site: Site, node: Node, settings: Settings, deadline: float) -> NodeStatus:
    deadlines = Deadlines(connect=min(deadline, Deadlines().connect), answer=deadline)
    version, reason, remedy = "", "", ""
    instances: list[InstanceStatus] = []
    try:
        async with Engine(endpoint(node, settings), deadlines) as engine:
            seen = await engine.observe(selection(site, node))
        version = seen.version
        specs = [container_spec(site, node, instance) for instance in node.instances]
        instances = instances_status(specs, seen.containers, datetime.now(UTC))
    except EngineError as error:
        reason, remedy = f"{error.tried}: {error.reason}", error.remedy
    return NodeStatus(
        name=node.name,
        address=node.address,
        transport=node.transport,
        reachable=not reason,
        engine_version=version,
        reason=reason,
        remedy=remedy,
        instances=instances,
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
    reasons = [_sick(container), f"its {' and '.join(differs)} differs from what is declared" if differs else ""]
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
        drift=[],
        reason="",
    )


def _sick(container: Container) -> str:
    if container.health == "unhealthy":
        return "its health check fails"
    if container.running:
        return ""
    if container.state == "restarting":
        return f"its engine restarts it, {container.restarts} times so far; it ended with {container.exit_code}"
    ended = f"{container.state}, it ended with {container.exit_code}" if container.finished else container.state
    return f"{ended}: {container.reason}" if container.reason else ended


def _badness(node: NodeStatus) -> tuple[bool, bool, str]:
    return (node.reachable, node.ok, node.name)
