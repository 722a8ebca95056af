"""The camera's one state machine. The actor and the IOC are two views of it, and neither knows of the other.

idle → exposing → reading → idle. Everything here runs in one event loop; only the frame's file is written in a thread.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from time import monotonic

from camera.errors import CameraBusy, CameraError, ExposureAborted, NothingToAbort, OutOfRange
from camera.frames import Exposed, FrameStore, Series
from camera.scene import BIAS, Image, Scene

LONGEST_EXPOSURE = 3600.0
MOST_FRAMES = 10_000
COLDEST, WARMEST = -100.0, 40.0
ROOM = 20.0
# It comes within a degree of -20 °C in some 20 seconds: slow enough to be seen, quick enough to be waited for.
COOLING_TIME = 5.0


class State(StrEnum):
    """What the camera is doing."""

    IDLE = "idle"
    EXPOSING = "exposing"
    READING = "reading"


class Outcome(StrEnum):
    """How the last exposure ended."""

    NONE = "none"
    DONE = "done"
    ABORTED = "aborted"
    FAILED = "failed"


@dataclass(frozen=True)
class Frame:
    """A frame that is on disk. ``total`` is its counts above the bias."""

    file: Path
    series: str
    number: int
    total: float


class Camera:
    """One camera. Times in seconds, temperatures in °C."""

    def __init__(self, name: str, scene: Scene, store: FrameStore) -> None:
        self.name = name
        self.scene = scene
        self.store = store
        self.state = State.IDLE
        self.outcome = Outcome.NONE
        self.reason = ""
        self.last: Frame | None = None
        self.setpoint = ROOM
        self._from, self._since = ROOM, monotonic()
        self._ends = 0.0
        self._abort = asyncio.Event()
        self._running: asyncio.Task[list[Frame]] | None = None
        self._watchers: list[Callable[[], None]] = []

    @property
    def temperature(self) -> float:
        """Of the sensor, on its way to the set-point."""
        left = math.exp(-(monotonic() - self._since) / COOLING_TIME)
        return self.setpoint + (self._from - self.setpoint) * left

    @property
    def remaining(self) -> float:
        """Seconds until the shutter closes; 0 when it is closed."""
        return max(0.0, self._ends - monotonic()) if self.state is State.EXPOSING else 0.0

    def watch(self, changed: Callable[[], None]) -> None:
        """Have ``changed`` called after each change of state."""
        self._watchers.append(changed)

    def set_temperature(self, celsius: float) -> None:
        """Start towards a temperature. Raises OutOfRange."""
        if not COLDEST <= celsius <= WARMEST:
            raise OutOfRange(f"{celsius:g} °C is out of range: {COLDEST:g} to {WARMEST:g}")
        self._from, self._since, self.setpoint = self.temperature, monotonic(), celsius
        self._changed()

    async def expose(self, series: Series, seconds: float, *, count: int = 1, dark: bool = False) -> list[Frame]:
        """Take ``count`` frames into ``series``. Raises CameraError; who stops waiting stops no exposure."""
        check_exposure(seconds, count)
        if self._running is not None:
            raise CameraBusy(f"the camera is {self.state}; wait for the end or abort it")
        self._abort.clear()
        self._running = asyncio.create_task(self._take(series, seconds, count, dark=dark))
        # A failure is told by `outcome` too, so nobody has to be there to hear of it.
        self._running.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._running)

    async def abort(self) -> None:
        """End the exposure without a frame; returns when it is over. Raises NothingToAbort."""
        running = self._running
        if running is None:
            raise NothingToAbort("there is nothing to abort: the camera is idle")
        self._abort.set()
        with suppress(CameraError):
            await asyncio.shield(running)

    async def close(self) -> None:
        """Abort what is going on, for the end of the process."""
        with suppress(NothingToAbort):
            await self.abort()

    async def _take(self, series: Series, seconds: float, count: int, *, dark: bool) -> list[Frame]:
        outcome, reason = Outcome.DONE, ""
        try:
            return [await self._take_one(series, seconds, dark=dark) for _ in range(count)]
        except CameraError as error:
            outcome = Outcome.ABORTED if isinstance(error, ExposureAborted) else Outcome.FAILED
            reason = str(error)
            raise
        finally:
            self._running = None
            self._enter(State.IDLE, outcome, reason)

    async def _take_one(self, series: Series, seconds: float, *, dark: bool) -> Frame:
        begun = datetime.now(UTC)
        self._ends = monotonic() + seconds
        self._enter(State.EXPOSING, Outcome.NONE)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._abort.wait()
        self._refuse_aborted(series)
        self._enter(State.READING, Outcome.NONE)
        exposed = Exposed(self.name, seconds, self.temperature, dark, begun)
        image = await asyncio.to_thread(self._read_out, series, exposed)
        if self._abort.is_set():
            self.store.remove_draft()
        self._refuse_aborted(series)
        number = series.frames
        file = self.store.commit(series)
        self.last = Frame(file, series.name, number, float(image.sum(dtype="float64") - BIAS * image.size))
        return self.last

    def _read_out(self, series: Series, exposed: Exposed) -> Image:
        image = self.scene.expose(exposed.seconds, exposed.temperature, dark=exposed.dark)
        self.store.draft(series, image, exposed)
        return image

    def _refuse_aborted(self, series: Series) -> None:
        if self._abort.is_set():
            raise ExposureAborted(f"the exposure of {series.name}/{series.next_file.name} was aborted")

    def _enter(self, state: State, outcome: Outcome, reason: str = "") -> None:
        self.state, self.outcome, self.reason = state, outcome, reason
        self._changed()

    def _changed(self) -> None:
        for watcher in self._watchers:
            watcher()


def check_exposure(seconds: float, count: int = 1) -> None:
    """Raise OutOfRange unless an exposure can be as long and as often as that."""
    if not 0 <= seconds <= LONGEST_EXPOSURE:
        raise OutOfRange(f"an exposure of {seconds:g} s is out of range: 0 to {LONGEST_EXPOSURE:g}")
    if not 1 <= count <= MOST_FRAMES:
        raise OutOfRange(f"{count} frames are out of range: 1 to {MOST_FRAMES}")
