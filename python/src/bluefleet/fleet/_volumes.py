"""Which of the declared volumes are where, on each node."""

import asyncio
from collections.abc import Mapping

from bluefleet.engine import Deadlines, Engine, EngineError, Observation
from bluefleet.fleet._call import NODES_AT_ONCE
from bluefleet.fleet._plan import instance_of
from bluefleet.fleet._render import endpoint
from bluefleet.fleet._render import selection as labels_of
from bluefleet.fleet._report import NodeVolumes, VolumePlace, VolumesReport
from bluefleet.fleet._selection import Chosen, Selection
from bluefleet.fleet._settings import Settings
from bluefleet.model import Site


async def volumes_report(site: Site, settings: Settings, chosen: Selection, *, deadline: float) -> VolumesReport:
    """Ask every chosen node whose instances have volumes, each with `deadline` seconds."""
    room = asyncio.Semaphore(NODES_AT_ONCE)

    async def one(on: Chosen) -> NodeVolumes:
        if not any(instance.volumes for instance in on.instances):
            return NodeVolumes(name=on.node.name)
        deadlines = Deadlines(connect=min(deadline, Deadlines().connect), answer=deadline)
        async with room:
            try:
                async with Engine(endpoint(on.node, settings), deadlines) as engine:
                    seen = await engine.observe(labels_of(site, on.node))
                    there = await engine.volumes()
            except EngineError as error:
                return NodeVolumes(name=on.node.name, error=f"{error.tried}: {error.reason}", remedy=error.remedy)
            return NodeVolumes(name=on.node.name, volumes=_places(on, seen, there))

    nodes = await asyncio.gather(*(one(on) for on in chosen))
    return VolumesReport(site=site.site, ok=not any(node.error for node in nodes), nodes=nodes)


def _places(on: Chosen, seen: Observation, there: Mapping[str, str]) -> list[VolumePlace]:
    running = {instance_of(container) for container in seen.containers if container.running}
    wanted: dict[str, list[str]] = {}
    for instance in on.instances:
        for volume in instance.volumes:
            wanted.setdefault(volume.source, []).append(instance.name)
    return [
        VolumePlace(volume=source, present=bool(running & set(names)), device=source, wanted_by=names)
        if source.startswith("/")
        else VolumePlace(volume=source, present=source in there, device=there.get(source, ""), wanted_by=names)
        for source, names in wanted.items()
    ]
