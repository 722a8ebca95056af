"""The keeper goes on, whatever one node does."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bluefleet.fleet import NodeStatus, Reconciled, Settings
from bluefleet.model import Node, Site
from bluefleet.service import ServiceSettings
from bluefleet.service import _keeper as keeping
from bluefleet.service._events import Events
from bluefleet.service._keeper import Keeper
from bluefleet.service._meters import Meters


def site(*nodes: str) -> Site:
    declared = [{"name": name, "address": f"10.0.0.{number}"} for number, name in enumerate(nodes, 1)]
    return Site.model_validate(
        {"schema_version": 1, "site": "lab", "hosts": {}, "registry": None, "images": {}, "nodes": declared}
    )


def well(node: Node) -> Reconciled:
    return Reconciled(
        NodeStatus(
            name=node.name,
            address=node.address,
            transport=node.transport,
            reachable=True,
            engine_version="1",
            reason="",
            remedy="",
            instances=[],
        )
    )


class Nodes:
    """Stands in for what looks at nodes."""

    def __init__(self) -> None:
        self.strange = False
        self.looked: dict[str, int] = {}

    async def node(self, _site: Site, node: Node, *, mend: bool) -> Reconciled:
        del mend
        self.looked[node.name] = self.looked.get(node.name, 0) + 1
        if self.strange and node.name == "node1":
            raise RuntimeError("nobody foresaw this")
        return well(node)

    async def watch(self, _site: Site, _settings: Settings, node: Node) -> AsyncGenerator[None, None]:
        if self.strange and node.name == "node1":
            raise KeyError("Action")
        yield None
        await asyncio.Event().wait()


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Nodes:
    stand_in = Nodes()
    monkeypatch.setattr(keeping, "watch", stand_in.watch)
    for name in ("_STRANGE", "_STRANGE_AT_MOST", "_TOGETHER", "_OPERATORS"):
        monkeypatch.setattr(keeping, name, 0.01)
    return stand_in


def keeper(declared: Site, tmp_path: Path, nodes: Nodes, events: Events | None = None) -> Keeper:
    made = Keeper(
        lambda: declared,
        Settings(etc=tmp_path / "etc", lib=tmp_path / "lib"),
        ServiceSettings(period=0.02),
        events or Events(),
        Meters(),
    )
    made._reconciler = nodes  # type: ignore[assignment]
    return made


async def until(so: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not so():
            await asyncio.sleep(0.005)


def at_work(made: Keeper, claims: Callable[[], Any]) -> None:
    """Let it run for as long as `claims` last."""

    async def both() -> None:
        running = asyncio.create_task(made.run())
        try:
            await claims()
            assert not running.done()
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    asyncio.run(both())


def test_what_nobody_foresaw_of_one_node_ends_neither_the_service_nor_the_looks_at_another(
    tmp_path: Path, nodes: Nodes
) -> None:
    nodes.strange = True
    made = keeper(site("node1", "node2"), tmp_path, nodes)

    async def claims() -> None:
        await until(lambda: nodes.looked.get("node1", 0) > 2 and nodes.looked.get("node2", 0) > 2)
        await made.first_looks()
        await until(lambda: len(made.problems) == 2)
        assert made.problems == [
            "node1: listen to its events: KeyError: 'Action'",
            "node1: look after it: RuntimeError: nobody foresaw this",
        ]
        reachable = {node.name: node.reachable for node in made.status().nodes}
        assert reachable == {"node1": False, "node2": True}
        nodes.strange = False
        await until(lambda: not made.problems)
        assert all(node.reachable for node in made.status().nodes)

    at_work(made, claims)
