"""`status` of sdss-fliswarm over plain engines, in-process: reads {"plain", "silent"} and prints the seconds of each run.

Runs in an environment of its own, which has sdss-fliswarm and nothing of this project. What the node's own ping costs is
left out, and its clients are there already: both favour it.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

from docker import DockerClient
from fliswarm.commands import status
from fliswarm.node import Node


class _Command:
    """What a command of the actor is told by its nodes; nobody listens."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.actor = type("Actor", (), {"config": config})()

    def __getattr__(self, _: str) -> Any:
        return lambda *_, **__: None


class _Node(Node):
    async def ping(self, timeout: float = 2) -> bool:  # noqa: ARG002 (its own name)
        return True


async def _measure(places: dict[str, list[tuple[str, int]]], times: int) -> list[float]:
    nodes: dict[str, Node] = {}
    for number, (address, port) in enumerate([*places["plain"], *places["silent"]]):
        node = _Node(f"node{number}", address, daemon_addr=f"tcp://{address}:{port}")
        # As an actor has it that was connected before its nodes began to hang.
        node.client = DockerClient(node.daemon_addr, version="1.41", timeout=3)
        nodes[node.name] = node
    command = _Command({"ping_timeout": 0.6, "image": "tiny:latest", "registry": None, "volumes": {}})
    seconds: list[float] = []
    for _ in range(times + 1):
        begun = time.monotonic()
        await status.callback(command, nodes)
        seconds.append(time.monotonic() - begun)
    return seconds[1:]


given = json.load(sys.stdin)
sys.stdout.write(json.dumps(asyncio.run(_measure(given, given["times"]))))
sys.stdout.flush()
# Its threads may still wait for nodes that hang.
os._exit(0)
