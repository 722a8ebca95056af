"""The process of the actor: where its log goes, its signals, and what systemd wants to know."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from bluefleet.actor._fleet import Fleet
from bluefleet.actor._named_files import log_handler
from bluefleet.actor._running import Running, holding, pid_file
from bluefleet.actor._settings import ActorSettings
from bluefleet.fleet import ActorLinks, Reply, Settings, Target


def serve(
    settings: Settings, chosen: ActorSettings, *, log: Path | None, on_stderr: bool, ready: Callable[[], None]
) -> int:
    """Answer until SIGTERM or Ctrl-C; returns the exit code. `ready` is called when it listens.

    Raises AlreadyRuns, NotOurs, and OSError for a port that is taken or a log that can't be written.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)] if on_stderr else []
    if log is not None:
        handlers.append(log_handler(log, (settings.etc, settings.lib)))
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", handlers=handlers, force=True
    )
    # An instance that is stopped is dialled every few seconds: that is nothing to tell.
    logging.getLogger("bluefleet.fleet").setLevel(logging.WARNING)
    here = Running(os.getpid(), chosen.host, chosen.port, chosen.wire, supervised="NOTIFY_SOCKET" in os.environ)
    with holding(pid_file(settings), here):
        return asyncio.run(_serve(settings, chosen, ready))


async def _serve(settings: Settings, chosen: ActorSettings, ready: Callable[[], None]) -> int:
    # clu takes half a second; who only asks whether the actor runs need not wait for it.
    from bluefleet.actor._actor import make_actor

    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)

    def heard(target: Target, reply: Reply) -> None:
        actor.pass_on(target, reply)

    async with ActorLinks(broadcast=heard) as links:
        fleet = Fleet(settings, chosen, links)
        actor = make_actor(fleet)
        await fleet.link()
        await actor.start()
        ready()
        _tell_systemd("READY=1")
        await ending.wait()
        _tell_systemd("STOPPING=1")
        await actor.stop()
    return 0


def _tell_systemd(words: str) -> None:
    place = os.environ.get("NOTIFY_SOCKET")
    if not place:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.connect(f"\0{place[1:]}" if place.startswith("@") else place)
        door.send(words.encode())
