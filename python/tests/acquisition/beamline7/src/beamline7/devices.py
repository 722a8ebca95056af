"""Devices of beamline 7."""

from typing import Annotated

from ophyd_async.core import SignalR, SignalRW, StandardReadable
from ophyd_async.core import StandardReadableFormat as Format
from ophyd_async.epics.core import EpicsDevice, PvSuffix


class Spot(EpicsDevice, StandardReadable):
    """The spot on the screen, and whether its shutter is open."""

    total: Annotated[SignalR[float], PvSuffix("img_sum"), Format.HINTED_UNCACHED_SIGNAL]
    shutter: Annotated[SignalRW[int], PvSuffix("shutter_open"), Format.CONFIG_SIGNAL]
