"""Two operators cannot interleave on one node, and a dead one is in nobody's way."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bluefleet.fleet._lock import NodeBusy, node_lock, owner

HOLDER = """
import asyncio, sys
from pathlib import Path
from bluefleet.fleet._lock import node_lock
async def hold():
    async with node_lock(Path(sys.argv[1]), "node1", who="ada", verb="apply", wait=0):
        print("held", flush=True)
        await asyncio.sleep(60)
asyncio.run(hold())
"""


async def take(folder: Path, node: str, wait: float = 0.0) -> None:
    async with node_lock(folder, node, who="bob", verb="stop", wait=wait):
        pass


def test_the_one_who_comes_second_is_told_who_works_there(tmp_path: Path) -> None:
    async def both() -> None:
        async with node_lock(tmp_path, "node1", who="ada", verb="apply", wait=0):
            with pytest.raises(NodeBusy, match=r"ada \(`bluefleet apply`, process \d+, for 0 s\) works on node1"):
                await take(tmp_path, "node1")
            await take(tmp_path, "node10")
        await take(tmp_path, "node1")

    asyncio.run(both())
    assert owner(tmp_path, "node1") is None


def test_the_one_who_waits_gets_it_when_the_first_has_ended(tmp_path: Path) -> None:
    order: list[str] = []

    async def first() -> None:
        async with node_lock(tmp_path, "node1", who="ada", verb="apply", wait=0):
            await asyncio.sleep(0.5)
            order.append("first")

    async def second() -> None:
        await asyncio.sleep(0.1)
        await take(tmp_path, "node1", wait=10)
        order.append("second")

    async def both() -> None:
        await asyncio.gather(first(), second())

    asyncio.run(both())
    assert order == ["first", "second"]


def test_a_killed_owner_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        found = owner(tmp_path, "node1")
        assert found is not None
        assert (found.who, found.verb, found.pid) == ("ada", "apply", holder.pid)
        with pytest.raises(NodeBusy):
            asyncio.run(take(tmp_path, "node1"))
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        begin = time.monotonic()
        asyncio.run(take(tmp_path, "node1"))
        assert time.monotonic() - begin < 1
        assert owner(tmp_path, "node1") is None
