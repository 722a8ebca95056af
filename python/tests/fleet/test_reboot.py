"""What a soft reboot takes for the old engine and for the new one, and that nodes are told together."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bluefleet.fleet import Call, OperationReport, Settings, reboot, reboot_ends_within, select
from bluefleet.fleet import _reboot as module
from bluefleet.fleet._guard import Guard, Refused
from bluefleet.model import Instance, Node, Pod, Pods, Power, Site

CAMERA = {
    "name": "cam",
    "image": "ioc",
    "devices": [{"name": "cam", "class": "bluefleet.devices.Axis", "prefix": "x:"}],
}


def site(*names: str) -> Site:
    nodes = [
        {
            "name": name,
            "address": "127.0.0.1",
            "instances": [{**CAMERA, "name": f"{name}-cam"}] if "cam" in name else [],
        }
        for name in names
    ]
    return Site.model_validate(
        {
            "schema_version": 1,
            "site": "lab",
            "hosts": {},
            "registry": None,
            "images": {"ioc": {"reference": "ioc"}},
            "nodes": nodes,
        }
    )


def rebooted(of: Site, tmp_path: Path, soft: Any) -> OperationReport:
    settings = Settings(etc=tmp_path, lib=tmp_path)
    call = Call("reboot", who="ada", deadline=5.0)
    return asyncio.run(reboot(of, settings, select(of), call, soft=soft))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_AGAIN", 0.0)


def answers(monkeypatch: pytest.MonkeyPatch, *words: str | None) -> Iterator[str | None]:
    """What the engine says of its start, each time it is asked; None: it does not answer in time."""
    said = iter(words)

    async def look(*_: object, **__: object) -> Any:
        return module._Before(next(said))

    monkeypatch.setattr(module, "_look", look)
    return said


@pytest.mark.parametrize("before", [(None, "old"), (None, None), ("old",)])
def test_an_engine_that_was_slow_to_answer_has_still_to_go_down(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: tuple[str | None, ...]
) -> None:
    left = answers(monkeypatch, *before, "old", "old", None, None, "new", "not asked any more")

    async def told(_: Node) -> None:
        """It goes down in a while."""

    report = rebooted(site("node1"), tmp_path, told)
    assert report.ok, report
    assert next(left) == "not asked any more"


@pytest.mark.parametrize("begins", [False, True], ids=["nothing runs", "a plan runs"])
def test_nodes_are_told_at_once_unless_a_plan_uses_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, begins: bool
) -> None:
    told: list[str] = []
    both = asyncio.Barrier(2)

    async def look(_site: Site, node: Node, *_: object, **__: object) -> Any:
        return module._Before("new" if node.name in told else "old")

    async def check(_: Guard, instance: Instance | None) -> None:
        if begins:
            raise Refused("run 1 (scan) uses it, or may")

    async def tell(node: Node) -> None:
        # One after the other they would not come here together.
        async with asyncio.timeout(20):
            await both.wait()
        told.append(node.name)

    monkeypatch.setattr(module, "_look", look)
    monkeypatch.setattr(Guard, "check", check)
    report = rebooted(site("cam1", "cam2"), tmp_path, tell)
    refused = "refused: run 1 (scan) uses it, or may" if begins else ""
    assert [node.error for node in report.nodes] == [refused, refused]
    assert sorted(told) == ([] if begins else ["cam1", "cam2"])


def test_the_host_of_the_queue_is_not_rebooted_under_any_plan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: list[str] = []

    async def look(_site: Site, node: Node, *_: object, **__: object) -> Any:
        return module._Before("new" if node.name in told else "old")

    async def check(_: Guard, instance: Instance | None) -> None:
        if instance is None:
            raise Refused("run 1 (count) uses it, or may")

    async def tell(node: Node) -> None:
        told.append(node.name)

    monkeypatch.setattr(module, "_look", look)
    monkeypatch.setattr(Guard, "check", check)
    pods = Pods(acquisition=Pod(host="node1", address="10.0.0.1"))
    report = rebooted(site("node1", "node2").model_copy(update={"pods": pods}), tmp_path, tell)
    assert [node.error for node in report.nodes] == ["refused: run 1 (count) uses it, or may", ""]
    assert told == ["node2"]


def test_who_asks_has_words_of_every_node_before_its_own_patience_ends() -> None:
    call = Call("reboot", who="ada", deadline=300.0)
    slow = Power(command=["outlet", "{action}"], off_seconds=600, timeout_seconds=100)
    plain = site("node1", "node2")
    nodes = [plain.nodes[0], plain.nodes[1].model_copy(update={"power": slow})]
    assert reboot_ends_within(plain, call) >= 10 + 300 + 60
    assert reboot_ends_within(plain.model_copy(update={"nodes": nodes}), call) > 10 + 300 + 100 + 600 + 100
