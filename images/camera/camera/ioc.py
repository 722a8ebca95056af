"""The camera as process variables, served by caproto.

``expose`` is put to 1 and the put ends when the frames are on disk, or fails; ``reason`` then says why. A series that
is put here (``series``) counts its own frames (``frames``), whatever the actor's clients take in between.
"""

# pyright: basic, reportArgumentType=false, reportGeneralTypeIssues=false, reportAttributeAccessIssue=false, reportCallIssue=false
# (caproto's properties are replaced by what their decorators make of them, which no type checker follows)
from __future__ import annotations

import asyncio
from typing import Any

from caproto import ChannelType
from caproto.asyncio.server import start_server
from caproto.server import PVGroup, pvproperty

from camera.errors import CameraBusy
from camera.machine import LONGEST_EXPOSURE, MOST_FRAMES, Camera, Outcome, State, check_exposure

PERIOD = 0.5
# Longer than the 40 characters of a string record: a waveform of characters.
_TEXT = {"value": "", "dtype": ChannelType.CHAR, "max_length": 512}
_STATES = [str(state) for state in State]
_OUTCOMES = [str(outcome) for outcome in Outcome]


class CameraIoc(PVGroup):
    """One camera's process variables. Times in seconds, temperatures in °C, sizes in pixels."""

    expose = pvproperty(value=0, name="expose", doc="1 takes the frames; the put ends with them")
    abort = pvproperty(value=0, name="abort", doc="1 ends the exposure without a frame")
    exposure_time = pvproperty(value=0.1, name="exposure_time", lower_ctrl_limit=0.0, units="s", precision=3,
                               upper_ctrl_limit=LONGEST_EXPOSURE)  # fmt: skip
    count = pvproperty(value=1, name="count", lower_ctrl_limit=1, upper_ctrl_limit=MOST_FRAMES)
    dark = pvproperty(value=0, name="dark", doc="1 keeps the shutter closed")
    series = pvproperty(name="series", doc="Folder of the frames", **_TEXT)
    series_uri = pvproperty(name="series_uri", read_only=True, doc="Its address, for who reads it", **_TEXT)
    frames = pvproperty(value=0, name="frames", read_only=True, doc="Frames in the series")
    last_file = pvproperty(name="last_file", read_only=True, doc="The last frame, of any series", **_TEXT)
    total = pvproperty(value=0.0, name="total", read_only=True, doc="Counts above the bias in the last frame")
    state = pvproperty(value="idle", name="state", dtype=ChannelType.ENUM, enum_strings=_STATES, read_only=True)
    outcome = pvproperty(value="none", name="outcome", dtype=ChannelType.ENUM, enum_strings=_OUTCOMES, read_only=True)
    reason = pvproperty(name="reason", read_only=True, doc="Why the last exposure has no frame", **_TEXT)
    remaining = pvproperty(value=0.0, name="remaining", read_only=True, units="s", precision=1)
    temperature = pvproperty(value=0.0, name="temperature", read_only=True, units="C", precision=2)
    setpoint = pvproperty(value=0.0, name="temperature_setpoint", units="C", precision=2)
    height = pvproperty(value=0, name="height", read_only=True)
    width = pvproperty(value=0, name="width", read_only=True)

    def __init__(self, camera: Camera, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._camera = camera
        self._series = camera.store.today("frames")
        self._news = asyncio.Event()
        camera.watch(self._news.set)

    @expose.putter
    async def expose(self, _instance: Any, value: int) -> int:
        if value:
            await self._camera.expose(
                self._series, self.exposure_time.value, count=self.count.value, dark=bool(self.dark.value)
            )
            # Who waited for the put reads what came of it, not what was told before.
            await self.tell()
        return 0

    @abort.putter
    async def abort(self, _instance: Any, value: int) -> int:
        if value and self._camera.state is not State.IDLE:
            await self._camera.abort()
            await self.tell()
        return 0

    @exposure_time.putter
    async def exposure_time(self, _instance: Any, value: float) -> float:
        check_exposure(value)
        return value

    @count.putter
    async def count(self, _instance: Any, value: int) -> int:
        check_exposure(0.0, value)
        return value

    @series.putter
    async def series(self, _instance: Any, value: str) -> str:
        if self._camera.state is not State.IDLE:
            raise CameraBusy(f"the camera is {self._camera.state}; the series can be changed when it is idle")
        self._series = self._camera.store.open(value)
        await self.series_uri.write(self._camera.store.uri(self._series))
        await self.frames.write(self._series.frames)
        return value

    @setpoint.putter
    async def setpoint(self, _instance: Any, value: float) -> float:
        self._camera.set_temperature(value)
        return value

    async def serve(self, interface: str) -> None:
        """Answer Channel Access at that address until cancelled, on port EPICS_CA_SERVER_PORT."""
        await start_server(self.pvdb, interfaces=[interface])

    async def keep_telling(self) -> None:
        """Publish every change at once, and what drifts every PERIOD, until cancelled."""
        camera = self._camera
        await self.height.write(camera.scene.height)
        await self.width.write(camera.scene.width)
        await self.series.write(self._series.name, verify_value=False)
        await self.series_uri.write(camera.store.uri(self._series))
        while True:
            await self.tell()
            self._news.clear()
            try:
                # Not wait_for: Python 3.11's swallows a cancellation that comes with the news.
                async with asyncio.timeout(PERIOD):
                    await self._news.wait()
            except TimeoutError:
                await self._write("temperature", round(camera.temperature, 2))
                await self._write("remaining", round(camera.remaining, 1))

    async def tell(self) -> None:
        """Publish what changed; the state comes last, so that who sees it sees what belongs to it."""
        camera = self._camera
        if camera.last is not None:
            await self._write("last_file", str(camera.last.file))
            await self._write("total", camera.last.total)
        await self._write("frames", self._series.frames)
        await self._write("reason", camera.reason)
        await self._write("outcome", str(camera.outcome))
        await self._write("setpoint", camera.setpoint, verify_value=False)
        await self._write("state", str(camera.state))

    async def _write(self, name: str, value: Any, **options: Any) -> None:
        channel = getattr(self, name)
        if channel.value != value:
            await channel.write(value, **options)
