"""Which of the declared volumes are where, on each node."""

from collections.abc import Mapping

from bluefleet.engine import Deadlines, Engine, EngineError, Observation
from bluefleet.fleet._pace import at_pace
from bluefleet.fleet._plan import instance_of
from bluefleet.fleet._render import container_spec, endpoint
from bluefleet.fleet._render import selection as labels_of
from bluefleet.fleet._report import NodeVolumes, VolumePlace, VolumesReport
from bluefleet.fleet._selection import Chosen, Selection
from bluefleet.fleet._settings import Settings
from bluefleet.model import Site


async def volumes_report(site: Site, settings: Settings, chosen: Selection, *, deadline: float) -> VolumesReport:
    """Ask every chosen node whose instances have volumes, each with `deadline` seconds."""

    async def one(on: Chosen) -> NodeVolumes:
        if not any(instance.volumes for instance in on.instances):
            return NodeVolumes(name=on.node.name)
        deadlines = Deadlines(connect=min(deadline, Deadlines().connect), answer=deadline)
        try:
            async with Engine(endpoint(on.node, settings), deadlines) as engine:
                seen = await engine.observe(labels_of(site, on.node))
                there = await engine.volumes()
        except EngineError as error:
            return NodeVolumes(name=on.node.name, error=f"{error.tried}: {error.reason}", remedy=error.remedy)
        return NodeVolumes(name=on.node.name, volumes=_places(site, on, seen, there))

    nodes = await at_pace(one(on) for on in chosen)
    return VolumesReport(site=site.site, ok=not any(node.error for node in nodes), nodes=nodes)


def _places(site: Site, on: Chosen, seen: Observation, there: Mapping[str, str]) -> list[VolumePlace]:
    running = {instance_of(container) for container in seen.containers if container.running}
    wanted: dict[tuple[str, str], list[str]] = {}
    for instance in on.instances:
        for mount in container_spec(site, on.node, instance).mounts:
            wanted.setdefault((mount.kind, mount.source), []).append(instance.name)
    places: list[VolumePlace] = []
    for (kind, source), names in wanted.items():
        if kind == "bind":
            present, device = bool(running & set(names)), source
        elif kind == "volume":
            present, device = source in there, there.get(source, "")
        else:
            continue
        places.append(VolumePlace(volume=source, present=present, device=device, wanted_by=names))
    return places
