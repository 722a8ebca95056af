"""The keeper goes on, whatever one node does."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bluefleet.fleet import NodeStatus, Reconciled, Settings, State, history
from bluefleet.model import Node, Site
from bluefleet.service import ServiceSettings
from bluefleet.service import _keeper as keeping
from bluefleet.service._api import build
from bluefleet.service._events import Events
from bluefleet.service._keeper import Keeper
from bluefleet.service._meters import Meters
from bluefleet.service._parts import Parts


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


@pytest.mark.parametrize(
    ("part", "tried"),
    [
        ("look_beside", "look at the queue and the sinks"),
        ("_stamp", "look at what operators did"),
        ("history.prune", "forget old history"),
    ],
)
def test_what_nobody_foresaw_of_the_whole_site_is_told_and_tried_again(
    tmp_path: Path, nodes: Nodes, monkeypatch: pytest.MonkeyPatch, part: str, tried: str
) -> None:
    made = keeper(site("node1"), tmp_path, nodes)
    asked: list[object] = []
    strange = True
    where, name = (keeping.history, "prune") if part == "history.prune" else (keeping, part)
    real = getattr(where, name)

    def ask(*words: Any, **options: Any) -> Any:
        asked.append(words)
        if strange:
            raise RuntimeError("nobody foresaw this")
        return real(*words, **options)

    monkeypatch.setattr(where, name, ask)

    async def claims() -> None:
        nonlocal strange
        await until(lambda: len(asked) > 2)
        assert made.problems == [f"{tried}: RuntimeError: nobody foresaw this"]
        assert f'bluefleet_service_failures_total{{what="site: {tried}"}}' in made._meters.text().decode()
        before = nodes.looked["node1"]
        await until(lambda: nodes.looked["node1"] > before)
        strange = False
        await until(lambda: not made.problems)

    at_work(made, claims)


def test_a_long_verb_is_told_when_it_ends_however_much_was_done_meanwhile(tmp_path: Path, nodes: Nodes) -> None:
    events = Events()
    told: list[tuple[int, str]] = []
    tell = events.tell
    events.tell = lambda kind, data: (
        told.append((data["id"], data["result"])) if kind == "history" else None,
        tell(kind, data),
    )[1]  # type: ignore[method-assign]
    made = keeper(site("node1"), tmp_path, nodes, events)
    state = State(made._settings.state_file)
    before = history.begin(state, "ada", "apply", ["node1"], {})

    async def claims() -> None:
        await until(lambda: made._newest is not None)
        long = history.begin(state, "ada", "reboot", ["node1"], {})
        many = [history.begin(state, "bob", "start", ["node1"], {}) for _ in range(40)]
        await until(lambda: len(told) == 41)
        history.end(state, long, "ok", [])
        history.end(state, before, "failed", [])
        await until(lambda: len(told) == 43)
        assert set(told) == {(one, "unfinished") for one in (long, *many)} | {(long, "ok"), (before, "failed")}

    at_work(made, claims)


def test_the_first_entry_there_ever_was_is_told(tmp_path: Path, nodes: Nodes) -> None:
    events = Events()
    made = keeper(site("node1"), tmp_path, nodes, events)

    async def claims() -> None:
        await until(lambda: made._newest is not None)
        history.begin(State(made._settings.state_file), "ada", "apply", ["node1"], {})
        async for event in events.listen(None, idle=10):
            assert event is not None
            if event.kind == "history":
                return

    at_work(made, claims)


def test_of_a_site_without_nodes_nobody_waits_for_the_first_look(tmp_path: Path, nodes: Nodes) -> None:
    made = keeper(site(), tmp_path, nodes)

    async def claims() -> None:
        await made._looked.wait()

    at_work(made, claims)


def test_who_asks_for_health_waits_for_no_thread(tmp_path: Path, nodes: Nodes) -> None:
    app = build(Parts(keeper(site(), tmp_path, nodes), Events(), Meters(), Settings()))
    (route,) = [one for one in app.routes if getattr(one, "path", "") == "/healthz"]
    assert asyncio.iscoroutinefunction(route.endpoint)  # type: ignore[attr-defined]
