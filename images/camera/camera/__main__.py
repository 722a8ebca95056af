"""``python -m camera NAME --frames FOLDER …``: the camera, until SIGTERM. Exit code 2 is a mistake in the arguments."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from camera.actor import CameraActor
from camera.frames import FrameStore
from camera.ioc import CameraIoc
from camera.machine import Camera
from camera.scene import Scene

logger = logging.getLogger("camera")


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; the Channel Access port is EPICS_CA_SERVER_PORT, as for any IOC."""
    parser = argparse.ArgumentParser(prog="camera", description="A simulated camera: an actor and an IOC.")
    parser.add_argument("name", nargs="?", default=os.environ.get("BLUEFLEET_INSTANCE", "camera"))
    parser.add_argument("--prefix", required=True, help="prefix of its process variables, such as cam1:")
    parser.add_argument("--frames", type=Path, required=True, help="folder of its frames; must exist")
    parser.add_argument("--frames-uri", default="", help="that folder's address for who reads it, if it is another")
    parser.add_argument(
        "--actor-port", type=int, default=os.environ.get("BLUEFLEET_ACTOR_PORT", "19995"), help="TCP port of its actor"
    )
    parser.add_argument("--interface", default="0.0.0.0", help="address at which both answer")  # noqa: S104
    parser.add_argument("--scene", choices=("star", "beam"), default="star", help="what it looks at")
    parser.add_argument("--size", type=_size, default=(240, 320), help="HEIGHTxWIDTH in pixels")
    found = parser.parse_args(words)
    if not found.frames.is_dir():
        parser.error(f"--frames {found.frames}: there is no such folder; declare a volume for it")
    if not os.access(found.frames, os.W_OK | os.X_OK):
        parser.error(f"--frames {found.frames}: user {os.getuid()} may not write there; give it the folder")
    return found


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdigit() and width.isdigit() and 0 < int(height) <= 8192 and 0 < int(width) <= 8192):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: HEIGHTxWIDTH, such as 240x320, at most 8192")
    return int(height), int(width)


async def serve(wanted: argparse.Namespace) -> int:
    """Serve both views until SIGTERM or SIGINT; 1 when one of them can't be served."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Instances are unique on their node only.
    store = FrameStore(wanted.frames, f"{os.environ.get('BLUEFLEET_NODE', 'here')}-{wanted.name}", wanted.frames_uri)
    camera = Camera(wanted.name, Scene(wanted.scene, wanted.name, *wanted.size), store)
    if store.remove_draft():
        logger.warning("removed the half frame that an earlier run left")
    ioc = CameraIoc(camera, prefix=wanted.prefix)
    actor = CameraActor(camera, wanted.interface, wanted.actor_port)
    try:
        await actor.start()
    except OSError as error:
        logger.error("the actor can't listen on port %d: %s", wanted.actor_port, error)
        return 1
    tasks = [
        asyncio.create_task(ioc.serve(wanted.interface), name="Channel Access"),
        asyncio.create_task(ioc.keep_telling(), name="process variables"),
    ]
    logger.info("%s: actor on port %d", wanted.name, wanted.actor_port)
    waiting = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    broken = [task for task in done if task is not waiting]
    for task in broken:
        logger.error("%s ended: %r", task.get_name(), task.exception())
    await camera.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with suppress(asyncio.CancelledError):
        await actor.stop()
    logger.info("%s: stopped", wanted.name)
    return 1 if broken else 0


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    # The frames are for others to read: the data host's Tiled runs as another user.
    os.umask(0o022)
    return asyncio.run(serve(arguments()))


if __name__ == "__main__":
    sys.exit(main())
