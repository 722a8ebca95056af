"""What each node of a call has: its lock, and from then on its time."""

import asyncio
from pathlib import Path

import pytest

from bluefleet.fleet import Call, NodeResult, Settings, State, history, select
from bluefleet.fleet._call import Record, each_node, recorded
from bluefleet.fleet._lock import node_lock
from bluefleet.fleet._selection import Chosen
from bluefleet.model import Site

SITE = Site.model_validate(
    {
        "schema_version": 1,
        "site": "lab",
        "hosts": {},
        "registry": None,
        "images": {},
        "nodes": [{"name": "node1", "address": "10.0.0.1"}],
    }
)

NODES = ("node1", "node2")
TWO = Site.model_validate({**SITE.model_dump(), "nodes": [{"name": n, "address": "10.0.0.1"} for n in NODES]})


async def _work(chosen: Chosen) -> NodeResult:
    await asyncio.sleep(0.1)
    return NodeResult(name=chosen.node.name)


@pytest.mark.parametrize(("wait", "said"), [(0.5, "bob (`bluefleet update`"), (10.0, "")])
def test_the_wait_for_another_operator_is_not_part_of_the_deadline(tmp_path: Path, wait: float, said: str) -> None:
    settings = Settings(etc=tmp_path, lib=tmp_path)
    call = Call("apply", who="ada", wait=wait, deadline=0.3)

    async def results() -> list[NodeResult]:
        async with node_lock(settings.locks_folder, "node1", who="bob", verb="update", wait=0):
            waiting = asyncio.create_task(each_node(select(SITE), settings, call, _work, Record()))
            await asyncio.wait([waiting], timeout=0.8)
        return await waiting

    (result,) = asyncio.run(results())
    assert result.error.startswith(said)
    assert bool(result.error) == bool(said)


def test_what_goes_wrong_unexpectedly_on_a_node_is_told_and_ends_no_other(tmp_path: Path) -> None:
    async def work(chosen: Chosen) -> NodeResult:
        if chosen.node.name == "node1":
            raise KeyError("what nobody thought of")
        return await _work(chosen)

    settings = Settings(etc=tmp_path, lib=tmp_path)
    first, second = asyncio.run(each_node(select(TWO), settings, Call("apply", who="ada"), work, Record()))
    assert first.error.startswith("unexpected KeyError: 'what nobody thought of'")
    assert second.ok


@pytest.mark.parametrize("error", [BrokenPipeError, ValueError])
def test_that_nobody_listens_any_more_ends_no_work(error: type[Exception]) -> None:
    def gone(_: str) -> None:
        raise error

    Call("apply", who="ada", progress=gone).tell("node1: begins")


def test_what_was_done_before_an_interrupt_stands_in_history(tmp_path: Path) -> None:
    settings, call = Settings(etc=tmp_path, lib=tmp_path), Call("apply", who="ada")

    async def interrupted() -> None:
        with recorded(settings, call, NODES) as record:
            await each_node(select(TWO), settings, call, work, record)

    async def work(chosen: Chosen) -> NodeResult:
        if chosen.node.name == "node1":
            return NodeResult(name="node1", done="is back")
        whole.cancel()
        return await _work(chosen)

    async def until_then() -> None:
        nonlocal whole
        whole = asyncio.create_task(interrupted())
        await asyncio.wait([whole])

    whole: asyncio.Task[None]
    asyncio.run(until_then())
    (entry,) = history.entries(State(settings.state_file))
    assert entry.result == "interrupted"
    assert entry.detail[:2] == ["node1: is back", "node2: interrupted; something may be half done"]


def test_work_that_takes_too_long_is_told(tmp_path: Path) -> None:
    settings = Settings(etc=tmp_path, lib=tmp_path)
    for dry_run in (False, True):
        call = Call("apply", who="ada", deadline=0.05, dry_run=dry_run)
        (result,) = asyncio.run(each_node(select(SITE), settings, call, _work, Record()))
        assert result.error.startswith("not done within 0.05 s")
