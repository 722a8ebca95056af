"""Device classes over Channel Access, for the simulated hardware of the laboratory and for plain records.

Positions are in the record's own units, velocities in those units per second, times in seconds. Every class takes
``(prefix, name=…)``. The PVs are those of caproto 1.3's ``ioc_examples``.

What a plan reads is asked for each time (UNCACHED): a monitored value would outlive its IOC and be read as if it were new.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, cast

import numpy as np
from ophyd_async.core import (
    DEFAULT_TIMEOUT,
    Array1D,
    AsyncStatus,
    MovableLogic,
    SignalR,
    SignalRW,
    StandardMovable,
    StandardReadable,
    TimeoutCalculator,
    observe_value,
)
from ophyd_async.core import StandardReadableFormat as Format
from ophyd_async.epics.core import EpicsDevice, PvSuffix, epics_signal_r, epics_signal_rw

# mini_beamline measures every 0.5 s and its dot image every 2 s; ten periods without a value mean it has stopped.
NEW_VALUE_DEADLINE = 20.0


@dataclass
class _PutCompletes(MovableLogic[float]):
    """Moves by one put, which the IOC acknowledges when the move ends."""

    velocity: SignalRW[float]

    async def calculate_timeout(self, old_position: float, new_position: float) -> float | None:
        speed = abs(await self.velocity.get_value())
        return None if speed == 0 else abs(new_position - old_position) / speed * 2 + DEFAULT_TIMEOUT

    async def move(self, new_position: float, timeout: TimeoutCalculator) -> None:
        await self.setpoint.set(new_position, timeout=timeout())


class Axis(EpicsDevice, StandardReadable, StandardMovable[float]):
    """An axis of mini_beamline or xafs_beamline: one PV is set-point and read-back, and its put ends when the move does.

    The IOC has no stop command: a stopped plan no longer waits, while the axis still runs to where it was sent.
    """

    position: Annotated[SignalRW[float], PvSuffix("mtr"), Format.HINTED_UNCACHED_SIGNAL]
    velocity: Annotated[SignalRW[float], PvSuffix("vel"), Format.CONFIG_SIGNAL]

    @cached_property
    def movable_logic(self) -> MovableLogic[float]:
        return _PutCompletes(setpoint=self.position, readback=self.position, velocity=self.velocity)


class _Named(StandardReadable):
    """Gives the value that matters the device's own name: a column ``pinhole`` and not ``pinhole-counts``."""

    def _main_signal(self) -> SignalR[Any]:
        raise NotImplementedError

    def set_name(self, name: str, *, child_name_separator: str | None = None) -> None:
        super().set_name(name, child_name_separator=child_name_separator)
        self._main_signal().set_name(name)


class _MeasuresOnItsOwn(_Named):
    """Publishes a value every so often, whether asked or not: a trigger waits for the next one.

    The value that is there when a move has ended was measured during the move.
    """

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        updates = 0
        async for _ in observe_value(self._main_signal(), timeout=NEW_VALUE_DEADLINE):
            updates += 1
            if updates > 1:  # the first is the value that was there
                return


class Detector(EpicsDevice, _MeasuresOnItsOwn):
    """A point detector of mini_beamline: counts in one exposure."""

    counts: Annotated[SignalR[float], PvSuffix("det"), Format.HINTED_SIGNAL]
    exposure: Annotated[SignalRW[float], PvSuffix("exp"), Format.CONFIG_SIGNAL]

    def _main_signal(self) -> SignalR[float]:
        return self.counts


class Spot(EpicsDevice, _MeasuresOnItsOwn):
    """The moving dot of mini_beamline: the sum over its image (the image itself is too large for a document)."""

    total: Annotated[SignalR[float], PvSuffix("img_sum"), Format.HINTED_SIGNAL]
    exposure: Annotated[SignalRW[float], PvSuffix("exp"), Format.CONFIG_SIGNAL]

    def _main_signal(self) -> SignalR[float]:
        return self.total


# What `type` may say, as an inventory writes it.
_TYPES: dict[str, type[Any]] = {each.__name__: each for each in (float, int, str, bool)}


def _datatype(type_: str | None) -> type[Any]:
    """The datatype of a signal; without one ophyd-async takes what the PV has when it connects."""
    if type_ is not None and type_ not in _TYPES:
        raise ValueError(f"type {type_!r} is none of {', '.join(_TYPES)}; without a type it is the PV's own")
    # Its signals take None, though their signature doesn't say so.
    return cast("type[Any]", None if type_ is None else _TYPES[type_])


class ReadOnlySignal(_Named):
    """One value that is only read; the prefix is the whole PV name.

    :param type: float, int, str or bool, when the PV must be that. Without it the value is as the PV has it: a number
        with or without fraction, a text, the word of a choice. An array of characters is a text only with ``str``, and
        a choice of two is true or false only with ``bool``.
    """

    def __init__(self, prefix: str, name: str = "", *, type: str | None = None) -> None:  # noqa: A002  (the inventory's word)
        with self.add_children_as_readables(Format.HINTED_UNCACHED_SIGNAL):
            self.value: SignalR[Any] = epics_signal_r(_datatype(type), prefix)
        super().__init__(name=name)

    def _main_signal(self) -> SignalR[Any]:
        return self.value


class SettableSignal(StandardReadable, StandardMovable[Any]):
    """One value that is read and set; the prefix is the whole PV name and a put ends when the IOC says so.

    :param type: as for ReadOnlySignal
    """

    def __init__(self, prefix: str, name: str = "", *, type: str | None = None) -> None:  # noqa: A002  (the inventory's word)
        with self.add_children_as_readables(Format.HINTED_UNCACHED_SIGNAL):
            self.value: SignalRW[Any] = epics_signal_rw(_datatype(type), prefix)
        super().__init__(name=name)

    @cached_property
    def movable_logic(self) -> MovableLogic[Any]:
        return _Settable(setpoint=self.value, readback=self.value)


@dataclass
class _Settable(MovableLogic[Any]):
    async def move(self, new_position: Any, timeout: TimeoutCalculator) -> None:
        await self.setpoint.set(new_position, timeout=timeout())


class RandomWalk(EpicsDevice, _Named):
    """A number that walks at random, a step every ``period`` seconds."""

    position: Annotated[SignalR[float], PvSuffix("x"), Format.HINTED_UNCACHED_SIGNAL]
    period: Annotated[SignalRW[float], PvSuffix("dt"), Format.CONFIG_SIGNAL]

    def _main_signal(self) -> SignalR[float]:
        return self.position


class Simple(EpicsDevice, StandardReadable):
    """The three uncoupled PVs of caproto's ``simple`` example: an integer, a float and an array of integers."""

    A: Annotated[SignalRW[int], PvSuffix("A"), Format.HINTED_UNCACHED_SIGNAL]
    B: Annotated[SignalRW[float], PvSuffix("B"), Format.HINTED_UNCACHED_SIGNAL]
    C: Annotated[SignalRW[Array1D[np.int32]], PvSuffix("C"), Format.CONFIG_SIGNAL]


@dataclass
class _Settles(MovableLogic[float]):
    """Has arrived when the read-back has stayed within ``tolerance`` of the set-point for ``settle_time``."""

    tolerance: float = 1.0
    settle_time: float = 2.0
    deadline: float = 300.0

    async def calculate_timeout(self, old_position: float, new_position: float) -> float | None:
        del old_position, new_position
        return self.deadline

    async def move(self, new_position: float, timeout: TimeoutCalculator) -> None:
        await self.setpoint.set(new_position)
        clock = asyncio.get_running_loop().time
        since: float | None = None
        async for value in observe_value(self.readback, done_timeout=timeout()):
            if abs(value - new_position) > self.tolerance:
                since = None
            elif since is None:
                since = clock()
            elif clock() - since >= self.settle_time:
                return


class Thermo(EpicsDevice, StandardReadable, StandardMovable[float]):
    """The oscillating temperature controller of thermo_sim: a set ends when the temperature has settled.

    :param tolerance: how near to the set-point counts as there
    :param settle_time: how long it must stay there
    """

    temperature: Annotated[SignalR[float], PvSuffix("I"), Format.HINTED_UNCACHED_SIGNAL]
    setpoint: Annotated[SignalRW[float], PvSuffix("SP"), Format.CONFIG_SIGNAL]
    decay_time: Annotated[SignalRW[float], PvSuffix("K"), Format.CONFIG_SIGNAL]
    frequency: Annotated[SignalRW[float], PvSuffix("omega"), Format.CONFIG_SIGNAL]
    amplitude: Annotated[SignalRW[float], PvSuffix("Tvar"), Format.CONFIG_SIGNAL]

    def __init__(self, prefix: str, name: str = "", *, tolerance: float = 1.0, settle_time: float = 2.0) -> None:
        self._tolerance = tolerance
        self._settle_time = settle_time
        super().__init__(prefix, name=name)

    @cached_property
    def movable_logic(self) -> MovableLogic[float]:
        return _Settles(
            setpoint=self.setpoint,
            readback=self.temperature,
            tolerance=self._tolerance,
            settle_time=self._settle_time,
        )
