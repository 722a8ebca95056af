"""What each node of a call has: its lock, and from then on its time."""

import asyncio
from pathlib import Path

import pytest

from bluefleet.fleet import Call, NodeResult, Settings, select
from bluefleet.fleet._call import each_node
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


async def _work(chosen: Chosen) -> NodeResult:
    await asyncio.sleep(0.1)
    return NodeResult(name=chosen.node.name)


@pytest.mark.parametrize(("wait", "said"), [(0.5, "bob (`bluefleet update`"), (10.0, "")])
def test_the_wait_for_another_operator_is_not_part_of_the_deadline(tmp_path: Path, wait: float, said: str) -> None:
    settings = Settings(etc=tmp_path, lib=tmp_path)
    call = Call("apply", who="ada", wait=wait, deadline=0.3)

    async def results() -> list[NodeResult]:
        async with node_lock(settings.locks_folder, "node1", who="bob", verb="update", wait=0):
            waiting = asyncio.create_task(each_node(select(SITE), settings, call, _work))
            await asyncio.wait([waiting], timeout=0.8)
        return await waiting

    (result,) = asyncio.run(results())
    assert result.error.startswith(said)
    assert bool(result.error) == bool(said)


def test_work_that_takes_too_long_is_told(tmp_path: Path) -> None:
    settings = Settings(etc=tmp_path, lib=tmp_path)
    for dry_run in (False, True):
        call = Call("apply", who="ada", deadline=0.05, dry_run=dry_run)
        (result,) = asyncio.run(each_node(select(SITE), settings, call, _work))
        assert result.error.startswith("not done within 0.05 s")
