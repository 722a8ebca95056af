"""Tells a node to reboot, over SSH: with a key of the manager that can do this one thing there."""

from collections.abc import Awaitable, Callable

from bluefleet.fleet._program import run_program
from bluefleet.fleet._settings import Settings
from bluefleet.model import Node

# ssh has deadlines of its own, for a network that goes away; this one is for a node that hangs.
_TELL_SECONDS = 20.0


class SoftFailed(Exception):
    """The node was not told to reboot."""


# Tells a node to reboot; raises SoftFailed.
Soft = Callable[[Node], Awaitable[None]]


def by_ssh(settings: Settings) -> Soft:
    """Tell nodes over SSH, as site.yml has written down for each; what they do when the key logs in is theirs to know."""
    config = settings.reboot_ssh_config

    async def tell(node: Node) -> None:
        if not config.exists():
            raise SoftFailed(f"the manager has no {config}: run site.yml")
        wrong = await run_program(["ssh", "-F", str(config), "-T", node.name], _TELL_SECONDS)
        if wrong:
            raise SoftFailed(f"it could not be told at {node.address}: {wrong}")

    return tell
