"""The counters of an absorption beamline: before the sample, behind it, beside it, and behind a reference foil."""

from __future__ import annotations

from typing import Annotated

from ophyd_async.core import DEFAULT_TIMEOUT, AsyncStatus, SignalR, SignalRW, StandardReadable
from ophyd_async.core import StandardReadableFormat as Format
from ophyd_async.epics.core import EpicsDevice, PvSuffix


class IonChambers(EpicsDevice, StandardReadable):
    """Ion chambers that count together for a time; putting 1 to `acquire` ends when they have.

    Counts are those of the whole dwell time, `seconds`, which is read with them.
    """

    seconds: Annotated[SignalRW[float], PvSuffix("seconds"), Format.UNCACHED_SIGNAL]
    i0: Annotated[SignalR[float], PvSuffix("i0"), Format.HINTED_UNCACHED_SIGNAL]
    transmitted: Annotated[SignalR[float], PvSuffix("it"), Format.HINTED_UNCACHED_SIGNAL]
    fluorescence: Annotated[SignalR[float], PvSuffix("if"), Format.HINTED_UNCACHED_SIGNAL]
    reference: Annotated[SignalR[float], PvSuffix("ir"), Format.HINTED_UNCACHED_SIGNAL]
    acquire: Annotated[SignalRW[int], PvSuffix("acquire")]

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        seconds = await self.seconds.get_value()
        await self.acquire.set(1, timeout=seconds + DEFAULT_TIMEOUT)
