"""Which images are where: declared ones and those that instances run from, on each node."""

from bluefleet.engine import Deadlines, Engine, EngineError, LocalImage, Observation
from bluefleet.fleet._desired import desired
from bluefleet.fleet._overrides import Overrides
from bluefleet.fleet._pace import at_pace
from bluefleet.fleet._plan import instance_of
from bluefleet.fleet._render import endpoint
from bluefleet.fleet._render import selection as labels_of
from bluefleet.fleet._report import ImagePlace, ImagesReport, NodeImages
from bluefleet.fleet._selection import Chosen, Selection
from bluefleet.fleet._settings import Settings
from bluefleet.fleet._state import State
from bluefleet.model import Site


async def images_report(site: Site, settings: Settings, chosen: Selection, *, deadline: float) -> ImagesReport:
    """Ask every chosen node, each with `deadline` seconds. Raises StateUnusable."""
    overrides = Overrides.now(State(settings.state_file))

    async def one(on: Chosen) -> NodeImages:
        deadlines = Deadlines(connect=min(deadline, Deadlines().connect), answer=deadline)
        try:
            async with Engine(endpoint(on.node, settings), deadlines) as engine:
                seen = await engine.observe(labels_of(site, on.node))
                local = await engine.images()
        except EngineError as error:
            return NodeImages(name=on.node.name, error=f"{error.tried}: {error.reason}", remedy=error.remedy)
        return NodeImages(name=on.node.name, images=_places(site, on, overrides, seen, local))

    nodes = await at_pace(one(on) for on in chosen)
    return ImagesReport(site=site.site, ok=not any(node.error for node in nodes), nodes=nodes)


def _places(
    site: Site, on: Chosen, overrides: Overrides, seen: Observation, local: list[LocalImage]
) -> list[ImagePlace]:
    names = {instance.name for instance in on.instances}
    keys = {image.digest: key for key, image in site.images.items() if image.digest}
    wanted: dict[str, list[str]] = {}
    for one in desired(site, on.node, overrides):
        if one.declared.name in names:
            wanted.setdefault(one.spec.digest, []).append(one.declared.name)
    used: dict[str, list[str]] = {}
    for container in seen.containers:
        name = instance_of(container) or container.name
        if on.whole or name in names:
            used.setdefault(container.digest, []).append(name)
    there = {digest: image for image in local for digest in image.digests}
    # A node that is chosen as a whole also tells what of the site's images lies about there unused.
    lying = {digest for digest in there if digest in keys} if on.whole else set[str]()
    return [
        ImagePlace(
            image=keys.get(digest, ""),
            digest=digest,
            present=digest in there,
            bytes=there[digest].bytes if digest in there else None,
            wanted_by=sorted(wanted.get(digest, [])),
            used_by=sorted(used.get(digest, [])),
        )
        for digest in sorted({*wanted, *used, *lying} - {""}, key=lambda digest: (keys.get(digest, "~"), digest))
    ]
