"""The simulated camera of the laboratory as a detector: its frames are external assets of a run.

A frame is a file of its own, ``NNNNNN.h5`` in the folder of the series, with the dataset ``/entry/data/data`` of one
frame by height by width (16 bit counts). Each staging is one series and one StreamResource: its ``uri`` is the folder,
its ``template`` names the files, and the index of a StreamDatum is the number of the file. The folder's address comes
from the camera, which is told at which address others see its volume. Times in seconds, temperatures in °C.
"""

# pyright: reportIncompatibleMethodOverride=false, reportUnknownMemberType=false, reportUnknownArgumentType=false, reportMissingTypeStubs=false
# (ophyd-async decorates what it declares, and has partial types; aioca has no stubs)
from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from uuid import uuid4

from aioca import CANothing
from ophyd_async.core import (
    AsyncStatus,
    DetectorAcquireLogic,
    DetectorDataLogic,
    DetectorTriggerLogic,
    SignalDataProvider,
    SignalDatatype,
    SignalR,
    SignalRW,
    StandardDetector,
    StreamableDataProvider,
    StreamResourceDataProvider,
    StreamResourceInfo,
    StrictEnum,
    TriggerInfo,
    WatchableAsyncStatus,
)
from ophyd_async.epics.core import EpicsDevice, PvSuffix

MIMETYPE = "application/x-hdf5"
DATASET = "/entry/data/data"
TEMPLATE = "%06d.h5"
# Of reading out and writing one frame, on a busy node and a slow volume.
READ_OUT_DEADLINE = 10.0
_Value = TypeVar("_Value", bound=SignalDatatype)


class CameraState(StrictEnum):
    """What the camera is doing."""

    IDLE = "idle"
    EXPOSING = "exposing"
    READING = "reading"


class ExposureFailed(Exception):
    """The camera ended an exposure without a frame, or refused it; says which camera, and why."""


class Camera(StandardDetector, EpicsDevice):
    """A camera that a plan reads like any detector; ``total`` is the number it shows while the plan runs."""

    exposure_time: Annotated[SignalRW[float], PvSuffix("exposure_time")]
    count: Annotated[SignalRW[int], PvSuffix("count")]
    dark: Annotated[SignalRW[int], PvSuffix("dark")]
    expose: Annotated[SignalRW[int], PvSuffix("expose")]
    abort: Annotated[SignalRW[int], PvSuffix("abort")]
    state: Annotated[SignalR[CameraState], PvSuffix("state")]
    reason: Annotated[SignalR[str], PvSuffix("reason")]
    series: Annotated[SignalRW[str], PvSuffix("series")]
    series_uri: Annotated[SignalR[str], PvSuffix("series_uri")]
    frames: Annotated[SignalR[int], PvSuffix("frames")]
    total: Annotated[SignalR[float], PvSuffix("total")]
    height: Annotated[SignalR[int], PvSuffix("height")]
    width: Annotated[SignalR[int], PvSuffix("width")]
    temperature: Annotated[SignalR[float], PvSuffix("temperature")]
    temperature_setpoint: Annotated[SignalRW[float], PvSuffix("temperature_setpoint")]

    def __init__(self, prefix: str, name: str = "") -> None:
        super().__init__(prefix=prefix, name=name)
        frames = _Frames(self)
        self._exposures = _Exposures(self, frames)
        self.add_detector_logics(_Timing(self), self._exposures, frames, _Total(self))
        self.add_config_signals(self.exposure_time, self.dark, self.temperature, self.temperature_setpoint)
        self._told: TriggerInfo | None = None

    @AsyncStatus.wrap
    async def stage(self) -> None:
        self._told = None
        await super().stage()

    @AsyncStatus.wrap
    async def prepare(self, value: TriggerInfo) -> None:
        """As told; what says nothing of the exposure time waits as long as the camera's own takes."""
        self._told = value
        await super().prepare(await self._with_the_cameras_time(value))

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        """Take one frame. An exposure that fails ends the wait at once, with the camera's reason."""
        # Anew each time: a plan may have changed the exposure time since the last one.
        await self.prepare(self._told or TriggerInfo())
        self._exposures.forget()
        await self._unless_it_fails(super().trigger())

    @AsyncStatus.wrap
    async def complete(self) -> None:
        """Wait for all frames of a kickoff, or for the reason why there are not so many."""
        await self._unless_it_fails(super().complete())

    async def _unless_it_fails(self, frames: WatchableAsyncStatus[Any]) -> None:
        failing = asyncio.create_task(self._exposures.failure())
        try:
            await asyncio.wait([frames.task, failing], return_when=asyncio.FIRST_COMPLETED)
            if failing.done():
                failing.result()
            await frames
        finally:
            failing.cancel()
            frames.task.cancel()

    async def _with_the_cameras_time(self, value: TriggerInfo) -> TriggerInfo:
        livetime = value.livetime or await self.exposure_time.get_value()
        timeout = livetime + value.deadtime + READ_OUT_DEADLINE
        if "exposure_timeout" in value.model_fields_set:
            timeout = value.exposure_timeout
        given = value.model_dump(
            exclude={"livetime", "exposure_timeout", "number_of_collections", "number_of_exposures"}
        )
        return TriggerInfo(**given, livetime=livetime, exposure_timeout=timeout)


async def _now(signal: SignalR[_Value]) -> _Value:
    """What the camera says when it is asked, and not what a monitor last brought."""
    return await signal.get_value(cached=False)


async def _put(signal: SignalRW[_Value], value: _Value) -> _Value:
    """What the camera says after a put: another value, when it refused this one.

    Whether a refused put raises depends on Python: aioca's CANothing counts as false, and futures of Python without the
    mending of gh-132063 (3.11 and 3.12, early 3.13) lose such an exception.
    """
    with suppress(CANothing):
        await signal.set(value)
    return await _now(signal)


async def _why(camera: Camera, otherwise: str) -> str:
    """In words, and with the camera's name, why there is no frame."""
    try:
        state, reason = await asyncio.gather(_now(camera.state), _now(camera.reason))
    except Exception:  # noqa: BLE001  (it doesn't answer any more: what was first said is the reason)
        return f"{camera.name}: {otherwise}"
    if state is not CameraState.IDLE:
        return f"{camera.name}: it does not take this exposure: it is {state.value}, for somebody else"
    return f"{camera.name}: {reason or otherwise}"


class _Timing(DetectorTriggerLogic):
    """Frames that the camera times by itself, one after the other without a pause."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera

    async def prepare_internal(self, num: int, livetime: float, deadtime: float) -> None:
        if deadtime:
            raise ValueError(f"{self._camera.name} can't wait between frames: deadtime must be 0, not {deadtime:g}")
        if livetime:
            told = await _put(self._camera.exposure_time, livetime)
            if told != livetime:
                raise ExposureFailed(
                    f"{self._camera.name}: it refused to expose for {livetime:g} s; it says {told:g} s"
                )
        await self._camera.count.set(num)


class _Exposures(DetectorAcquireLogic):
    """One put, which the camera acknowledges when all frames are on disk."""

    def __init__(self, camera: Camera, frames: _Frames) -> None:
        self._camera = camera
        self._frames = frames
        self._going_on: AsyncStatus[None] | None = None
        self._expected = 0
        self._begun = asyncio.Event()

    def forget(self) -> None:
        """What `failure` tells is of an exposure that starts from now on."""
        self._begun.clear()

    async def start_acquiring(self) -> None:
        camera = self._camera
        await self._frames.go_on()
        seconds, count, frames = await asyncio.gather(
            camera.exposure_time.get_value(), camera.count.get_value(), _now(camera.frames)
        )
        self._going_on = camera.expose.set(1, timeout=count * (seconds + READ_OUT_DEADLINE))
        self._expected = frames + count
        self._begun.set()

    async def failure(self) -> None:
        """Raise ExposureFailed when the exposure fails; wait for ever when it does not."""
        await self._begun.wait()
        await self.wait_for_idle()
        await asyncio.Event().wait()

    async def wait_for_idle(self) -> None:
        if self._going_on is None:
            return
        try:
            await self._going_on
            frames = await _now(self._camera.frames)
        except Exception as error:
            raise ExposureFailed(await _why(self._camera, str(error) or repr(error))) from error
        # A put that was refused may look done, see _put: what counts are the frames.
        if frames < self._expected:
            raise ExposureFailed(await _why(self._camera, "there are fewer frames than exposures"))

    async def ensure_stopped(self) -> None:
        if await _now(self._camera.state) is not CameraState.IDLE:
            await self._camera.abort.set(1)
        if self._going_on is not None:
            with suppress(Exception):  # how it ended was told to who waited for it
                await self._going_on
            self._going_on = None


class _Frames(DetectorDataLogic):
    """The frames, as files of one series."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._series = ""

    async def go_on(self) -> None:
        """Name the series again to a camera that was restarted in between; it goes on with the next number."""
        if await _now(self._camera.series) != self._series:
            await self._put_series()

    async def _put_series(self) -> None:
        if await _put(self._camera.series, self._series) != self._series:
            raise ExposureFailed(await _why(self._camera, "it refused a new series"))

    async def prepare_unbounded(self, datakey_name: str) -> StreamableDataProvider:
        camera = self._camera
        # A series that nobody else can have: its frames are numbered from 0, like the StreamDatums of a run.
        self._series = f"{datetime.now(UTC):%Y-%m-%d}/{camera.name}-{uuid4().hex[:12]}"
        await self._put_series()
        uri, height, width = await asyncio.gather(
            _now(camera.series_uri), camera.height.get_value(), camera.width.get_value()
        )
        frame = StreamResourceInfo(
            data_key=datakey_name,
            shape=(height, width),
            chunk_shape=(1, height, width),
            dtype_numpy="<u2",
            # Whole files with names of their own: nobody writes them any more, so readers need no locks.
            parameters={"dataset": DATASET, "template": TEMPLATE, "swmr": False, "locking": False},
        )
        return StreamResourceDataProvider(uri, [frame], MIMETYPE, collections_written_signal=camera.frames)


class _Total(DetectorDataLogic):
    """The number a person sees for a frame."""

    datakey_suffix = "-total"

    def __init__(self, camera: Camera) -> None:
        self._camera = camera

    async def prepare_single(self, datakey_name: str) -> SignalDataProvider:
        del datakey_name  # a signal has its own, which is the same
        return SignalDataProvider(self._camera.total)

    def get_hinted_fields(self, datakey_name: str) -> Sequence[str]:
        return [datakey_name]
