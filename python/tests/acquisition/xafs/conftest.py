"""The text of the slide, and a simulated beamline in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bluesky import RunEngine
from bluesky.run_engine import call_in_bluesky_event_loop
from ophyd.sim import SynAxis
from ophyd_async.core import AsyncStatus, StandardReadable, soft_signal_r_and_setter, soft_signal_rw
from ophyd_async.core import StandardReadableFormat as Format

# What the IOC's image runs is no package.
sys.path.insert(0, str(Path(__file__).parents[4] / "images" / "ioc"))

from simulated.absorption import Foil
from simulated.beam import Beam

TEXT = (Path(__file__).parent / "cufoil.ini").read_text(encoding="utf-8")
# As few points as have all that a scan has.
SHORT = (
    TEXT.replace("-200  -30  -10  15.5  15k", "-200 -20 20 12k")
    .replace("10    2.0  0.3  0.05k", "60 4 0.5k")
    .replace("0.5   0.5  0.5  0.25k", "0.5 0.5 0.25k")
)


class SoftChambers(StandardReadable):
    """Ion chambers without an IOC; ``dead`` ones raise."""

    def __init__(self, beam: Beam, at: Callable[[], float], name: str = "chambers") -> None:
        with self.add_children_as_readables(Format.HINTED_UNCACHED_SIGNAL):
            self.i0, self._i0 = soft_signal_r_and_setter(float)
            self.transmitted, self._transmitted = soft_signal_r_and_setter(float)
            self.fluorescence, self._fluorescence = soft_signal_r_and_setter(float)
            self.reference, self._reference = soft_signal_r_and_setter(float)
        with self.add_children_as_readables(Format.UNCACHED_SIGNAL):
            self.seconds = soft_signal_rw(float, 1.0)
        self._beam, self._at = beam, at
        self.before_counting: Callable[[], None] = lambda: None
        super().__init__(name=name)

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        self.before_counting()
        counts = self._beam.count(self._at(), await self.seconds.get_value())
        self._i0(counts.i0)
        self._transmitted(counts.transmitted)
        self._fluorescence(counts.fluorescence)
        self._reference(counts.reference)


class Beamline:
    """A RunEngine, an energy axis and chambers around a copper foil; ``documents`` has all that were made."""

    def __init__(self) -> None:
        self.RE = RunEngine({})
        self.energy = SynAxis(name="energy")
        self.chambers = SoftChambers(Beam(Foil(), 1e7, seed=1), self.energy.readback.get)
        call_in_bluesky_event_loop(self.chambers.connect(), timeout=5)
        self.documents: list[tuple[str, dict[str, Any]]] = []
        self.RE.subscribe(lambda name, document: self.documents.append((name, document)))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [document for name, document in self.documents if name == kind]


@pytest.fixture
def beamline() -> Beamline:
    return Beamline()
