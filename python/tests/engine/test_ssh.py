"""Over ssh deadlines hold as over TCP, and nothing is left behind: no thread, no process."""

import asyncio
import os
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bluefleet.engine import Deadlines, Endpoint, Engine, EngineTimeout, EngineUnreachable, Happened, OwnFault
from bluefleet.engine._ssh import SshLink, SshLinks
from real_engine import SOCKET

QUICK = Deadlines(connect=0.2, answer=0.3)
ENDPOINT = Endpoint("node1", "ssh://grace@node1.example:2222")

# What `docker system dial-stdio` does there, without the network between.
RELAY = f"""#!{sys.executable}
import os, pathlib, select, socket, sys
pathlib.Path(__file__).with_name(f"told-{{os.getpid()}}").write_text("\\n".join(sys.argv[1:]))
link = socket.socket(socket.AF_UNIX)
link.connect({str(SOCKET)!r})
while True:
    ready, _, _ = select.select([0, link], [], [])
    if 0 in ready:
        got = os.read(0, 65536)
        link.sendall(got) if got else link.shutdown(socket.SHUT_WR)
        if not got:
            break
    if link in ready:
        got = link.recv(65536)
        if not got:
            break
        os.write(1, got)
"""
HANGS = """#!/bin/sh
echo > "${0%/*}/told-$$"
exec sleep 60
"""
ENDS = """#!/bin/sh
echo > "${0%/*}/told-$$"
echo "kex_exchange_identification: read: Connection reset by peer" >&2
exit 255
"""

ENDS_IN_AN_ANSWER = """#!/bin/sh
echo > "${0%/*}/told-$$"
# The question, to the empty line that ends it.
while read -r line && [ ${#line} -gt 1 ]; do :; done
printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 1000\\r\\n\\r\\n['
echo "Timeout, server node1.example not responding." >&2
exit 255
"""


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a program into the place of ssh; returns the folder in which each that was started leaves a file."""

    def put(program: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "ssh").write_text(program)
        (folder / "ssh").chmod(stat.S_IRWXU)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return folder

    return put


def groups(folder: Path) -> list[int]:
    """The process groups of all that were started."""
    return [int(file.name.removeprefix("told-")) for file in folder.glob("told-*")]


def is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture(autouse=True)
def before() -> None:
    """Threads that other tests left at work."""
    _BEFORE.update(engine_threads())


_BEFORE: set[threading.Thread] = set()


def engine_threads() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.name.startswith("engine")} - _BEFORE


def nothing_is_left(folder: Path) -> None:
    assert groups(folder)
    # A thread that was told ends a moment later.
    deadline = time.monotonic() + 5
    while engine_threads() or not all(map(is_gone, groups(folder))):
        assert time.monotonic() < deadline, (engine_threads(), groups(folder))
        time.sleep(0.01)


async def ask() -> str:
    async with Engine(ENDPOINT, QUICK) as engine:
        return (await engine.observe({"site": "nobody"})).version


def test_an_ssh_that_never_answers_leaves_no_thread_and_no_process(ssh: Callable[[str], Path]) -> None:
    folder = ssh(HANGS)
    for _ in range(2):
        with pytest.raises(EngineTimeout):
            asyncio.run(ask())
    nothing_is_left(folder)
    assert len(groups(folder)) == 2


def test_who_gives_up_before_the_deadline_leaves_none_either(ssh: Callable[[str], Path]) -> None:
    folder = ssh(HANGS)

    async def cancelled() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await ask()

    asyncio.run(cancelled())
    nothing_is_left(folder)


def test_an_ssh_that_ends_is_an_engine_that_can_t_be_reached(ssh: Callable[[str], Path]) -> None:
    folder = ssh(ENDS)
    with pytest.raises(EngineUnreachable, match=r"ssh ended: kex_exchange.* reset by peer"):
        asyncio.run(ask())
    nothing_is_left(folder)


def test_an_ssh_that_ends_in_the_middle_of_an_answer_is_told_in_its_words(ssh: Callable[[str], Path]) -> None:
    folder = ssh(ENDS_IN_AN_ANSWER)
    with pytest.raises(EngineUnreachable, match=r"ssh ended: Timeout, server node1\.example not responding"):
        asyncio.run(ask())
    nothing_is_left(folder)


def test_links_can_be_cut_while_others_are_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended:
        """A link whose process has ended."""

        def end(self) -> None:
            """It did already."""

    monkeypatch.setattr(SshLink, "of", lambda _: Ended())
    links = SshLinks(ENDPOINT.url, 0.2)
    kept: list[object] = []

    def dial() -> None:
        kept.extend(links.dial() for _ in range(5000))

    # So that threads get in each other's way as seldom happens else.
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        dialling = threading.Thread(target=dial)
        dialling.start()
        while dialling.is_alive():
            links.cut()
    finally:
        sys.setswitchinterval(before)
        dialling.join()


def test_where_there_is_no_ssh_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OwnFault, match="no program ssh"):
        asyncio.run(ask())


def test_one_ssh_serves_all_questions_asks_nobody_and_ends_with_them(ssh: Callable[[str], Path]) -> None:
    folder = ssh(RELAY)

    async def some() -> str:
        async with Engine(ENDPOINT) as engine:
            await engine.images()
            await engine.volumes()
            return (await engine.observe({"site": "nobody"})).version

    assert asyncio.run(some())
    nothing_is_left(folder)
    (told,) = folder.glob("told-*")
    words = told.read_text().splitlines()
    assert words[-3:] == ["--", "node1.example", "docker system dial-stdio"]
    assert {"BatchMode=yes", "ConnectTimeout=2", "ServerAliveInterval=5", "grace", "2222"} <= set(words)


def test_events_over_ssh_end_with_their_listener(ssh: Callable[[str], Path]) -> None:
    folder = ssh(RELAY)

    async def first() -> Happened:
        async with Engine(ENDPOINT) as engine:
            events = engine.events({"site": "nobody"})
            found = await anext(events)
            await events.aclose()
            return found

    assert asyncio.run(first()) == Happened("", {})
    nothing_is_left(folder)
