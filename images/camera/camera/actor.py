"""The camera as an actor: commands as lines, replies as lines of JSON, on a TCP port (clu's JSONActor).

A client writes ``7 expose 2.5``; every reply carries 7, and the last one is ``:`` (done) or ``f`` (failed, with the
reason as ``error``). Changes of state go to every client as broadcasts.
"""

# pyright: basic
# (clu's decorators and replies have no usable types)
from __future__ import annotations

import logging
from typing import Any

import click
from clu import Command
from clu.actor import JSONActor
from clu.parsers.click import command_parser

from camera import __version__
from camera.errors import CameraError
from camera.machine import Camera, State

_NUMBER = {"type": "number"}
_TEXT = {"type": "string"}


def _keyword(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


# The keywords of its replies, besides clu's own (text, error, help, version …): what `get_schema` answers.
SCHEMA = {
    "type": "object",
    "properties": {
        "exposure_state": _keyword(
            camera=_TEXT,
            state={"enum": [str(state) for state in State]},
            remaining=_NUMBER,
            outcome=_TEXT,
            reason=_TEXT,
        ),
        "temperature": _keyword(sensor=_NUMBER, setpoint=_NUMBER),
        "size": _keyword(height={"type": "integer"}, width={"type": "integer"}),
        "filename": _TEXT,
        "last_filename": {"type": ["string", "null"]},
    },
    "additionalProperties": False,
}


class CameraActor(JSONActor):
    """Speaks for one camera."""

    def __init__(self, camera: Camera, host: str, port: int) -> None:
        super().__init__(camera.name, host, port, version=__version__, schema=SCHEMA)
        # Commands and connections go to the log; each reply would be too much.
        self.log.setLevel(logging.INFO)
        self.parser_args = [camera]
        self._camera = camera
        camera.watch(self._broadcast)

    def parse_command(self, command: Any) -> Any:
        """As clu does, but a command that can't be taken apart is answered instead of costing its client the link."""
        try:
            return super().parse_command(command)
        except (ValueError, click.ClickException, click.exceptions.Exit) as error:
            command.fail(error=f"{command.raw_command_string!r} can't be parsed: {error}")
            return command

    def _broadcast(self) -> None:
        self.write("i", {"exposure_state": exposure_state(self._camera)}, broadcast=True)


def exposure_state(camera: Camera) -> dict[str, Any]:
    """The keyword of the same name: what the camera does, and how the last exposure ended."""
    return {
        "camera": camera.name,
        "state": str(camera.state),
        "remaining": round(camera.remaining, 3),
        "outcome": str(camera.outcome),
        "reason": camera.reason,
    }


def _temperature(camera: Camera) -> dict[str, float]:
    return {"sensor": round(camera.temperature, 2), "setpoint": camera.setpoint}


@command_parser.command()
async def status(command: Command, camera: Camera) -> None:
    """Reports what the camera does, its temperature and its last frame."""
    last = camera.last
    command.info(
        exposure_state=exposure_state(camera),
        temperature=_temperature(camera),
        size={"height": camera.scene.height, "width": camera.scene.width},
        last_filename=str(last.file) if last else None,
    )
    command.finish()


@command_parser.command()
@click.argument("SECONDS", type=float)
@click.option("--count", type=int, default=1, help="How many frames, one after the other.")
@click.option("--dark", is_flag=True, help="With the shutter closed.")
@click.option("--series", type=str, default=None, help="Folder of the frames; by default today's snapshots.")
async def expose(
    command: Command, camera: Camera, *, seconds: float, count: int, dark: bool, series: str | None
) -> None:
    """Takes frames. Ends when they are on disk, with their names."""
    try:
        into = camera.store.open(series) if series else camera.store.today("snapshots")
        frames = await camera.expose(into, seconds, count=count, dark=dark)
    except CameraError as error:
        command.fail(error=str(error))
        return
    for frame in frames:
        command.info(filename=str(frame.file))
    command.finish()


@command_parser.command()
async def abort(command: Command, camera: Camera) -> None:
    """Ends the exposure that is going on, without a frame."""
    try:
        await camera.abort()
    except CameraError as error:
        command.fail(error=str(error))
        return
    command.finish()


@command_parser.group(name="set")
def set_() -> None:
    """Sets what can be set."""


@set_.command()
@click.argument("CELSIUS", type=float)
async def temperature(command: Command, camera: Camera, celsius: float) -> None:
    """Sets the sensor's temperature; does not wait for it."""
    try:
        camera.set_temperature(celsius)
    except CameraError as error:
        command.fail(error=str(error))
        return
    command.finish(temperature=_temperature(camera))
