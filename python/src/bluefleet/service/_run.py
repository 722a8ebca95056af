"""The process: one at a time, its sockets, its signals, and what systemd wants to know."""

import asyncio
import fcntl
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn
from fastapi import FastAPI

from bluefleet.fleet import Settings
from bluefleet.model import Site
from bluefleet.service._api import build
from bluefleet.service._events import Events
from bluefleet.service._keeper import Keeper
from bluefleet.service._meters import Meters
from bluefleet.service._parts import Parts
from bluefleet.service._settings import ServiceSettings

logger = logging.getLogger(__name__)

# Seconds. A verb that somebody asked for may end; what has not then is unfinished in history.
_GRACE = 20
# How often systemd is told that the loop turns.
_BEAT = 10.0


class AlreadyRuns(Exception):
    """Another fleet service looks after this site."""

    def __init__(self, file: Path, pid: str) -> None:
        self.file = file
        super().__init__(f"a fleet service runs already, process {pid or 'unknown'}")


def run(read: Callable[[], Site], settings: Settings, chosen: ServiceSettings) -> int:
    """Run it until a signal ends it; returns the exit code. Raises AlreadyRuns, OSError for a port that is taken."""
    # The server raises the signal that ended it once more, when it has ended: what is open here is closed then, too.
    signal.signal(signal.SIGTERM, _end)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    with _alone(settings.lib / "fleet" / "service.lock"), _sockets(chosen) as sockets:
        return asyncio.run(_serve(read, settings, chosen, sockets))


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


class _Server(uvicorn.Server):
    """Ends with its listeners: they would never leave on their own."""

    events: Events

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.events.close()
        super().handle_exit(sig, frame)


async def _serve(
    read: Callable[[], Site], settings: Settings, chosen: ServiceSettings, sockets: list[socket.socket]
) -> int:
    events, meters = Events(), Meters()
    keeper = Keeper(read, settings, chosen, events, meters)
    meters.show(keeper.status)
    broken: list[BaseException] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None, None]:
        work = asyncio.create_task(keeper.run())
        beat = asyncio.create_task(_beat(lambda: server.started))

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                broken.append(error)
                server.handle_exit(signal.SIGTERM, None)

        work.add_done_callback(ended)
        yield
        for task in (work, beat):
            task.cancel()
        await asyncio.gather(work, beat, return_exceptions=True)

    app = build(Parts(keeper, events, meters, settings), lifespan)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        lifespan="on",
    )
    server = _Server(config)
    server.events = events
    for one in sockets:
        logger.info("the fleet's API answers at %s", one.getsockname())
    await server.serve(sockets=sockets)
    if broken:
        raise broken[0]
    return 0


@contextmanager
def _alone(file: Path) -> Generator[None, None, None]:
    """Hold the lock of the one service; the kernel releases it however this process ends."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+", encoding="utf-8") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.seek(0)
            raise AlreadyRuns(file, held.read()) from None
        # Whose it is, for people: on a full disk it is nobody's, and held all the same.
        with suppress(OSError):
            held.truncate(0)
            os.write(held.fileno(), str(os.getpid()).encode())
        yield


@contextmanager
def _sockets(chosen: ServiceSettings) -> Generator[list[socket.socket], None, None]:
    sockets = [socket.create_server(("127.0.0.1", chosen.port))]
    try:
        if chosen.socket is not None:
            # One that is left over; whoever listens to it would hold the lock.
            chosen.socket.unlink(missing_ok=True)
            local = socket.socket(socket.AF_UNIX)
            local.bind(str(chosen.socket))
            # The edge is another user; the token is what keeps people out.
            chosen.socket.chmod(0o666)
            sockets.append(local)
        yield sockets
    finally:
        for one in sockets:
            one.close()
        if chosen.socket is not None:
            chosen.socket.unlink(missing_ok=True)


async def _beat(started: Callable[[], bool]) -> None:
    """Tell systemd, where it asked, that the API answers, and then that the loop turns."""
    place = os.environ.get("NOTIFY_SOCKET")
    if not place:
        return
    while not started():
        await asyncio.sleep(0.05)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.connect("\0" + place[1:] if place.startswith("@") else place)
        link.send(b"READY=1")
        while True:
            link.send(b"WATCHDOG=1")
            await asyncio.sleep(_BEAT)
