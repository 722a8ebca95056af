"""A command inside an instance, noted in history with who ran it."""

import shlex
from collections.abc import Sequence

from bluefleet.engine import Engine, Streams
from bluefleet.fleet._call import Call, recorded
from bluefleet.fleet._render import container_name, endpoint, selection
from bluefleet.fleet._settings import Settings
from bluefleet.model import Instance, Node, Site


class NotRunning(Exception):
    """The instance has no container that runs."""


async def execute(
    site: Site,
    settings: Settings,
    place: tuple[Node, Instance],
    command: Sequence[str],
    streams: Streams,
    *,
    call: Call,
) -> int:
    """Run it in the instance's container until it ends; returns its exit code. Raises EngineError, NotRunning."""
    node, instance = place
    where = f"{node.name}/{instance.name}"
    with recorded(settings, call, [where], command=shlex.join(command), terminal=streams.tty) as record:
        async with Engine(endpoint(node, settings)) as engine:
            seen = await engine.observe({**selection(site, node), "instance": instance.name})
            there = [one for one in seen.containers if one.name == container_name(instance) and one.running]
            if not there:
                raise NotRunning(f"{where} does not run")
            code = await engine.converse(there[0].id, command, streams)
        record.detail.append(f"{where}: exec ended with {code}")
    return code
