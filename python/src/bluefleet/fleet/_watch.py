"""What happens on a node, as its engine tells it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from bluefleet.engine import Engine, EngineError, Happened
from bluefleet.fleet._render import endpoint, selection
from bluefleet.fleet._settings import Settings
from bluefleet.model import Node, Site


async def watch(site: Site, settings: Settings, node: Node, *, redial: float = 5.0) -> AsyncGenerator[Happened, None]:
    """Events of this site's containers there, for ever. An empty one says that some may have been missed.

    An engine that is away, or where nothing happened for a minute, is asked anew after `redial` seconds.
    """
    while True:
        try:
            async with (
                Engine(endpoint(node, settings)) as engine,
                aclosing(engine.events(selection(site, node))) as events,
            ):
                async for event in events:
                    yield event
        except EngineError:
            # Whoever looks at the node finds out what is wrong with it.
            pass
        await asyncio.sleep(redial)
