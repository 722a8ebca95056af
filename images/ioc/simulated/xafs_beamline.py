"""``python -m simulated.xafs_beamline --prefix xafs:``: an energy axis, and ion chambers around a foil.

Energy: ``mono:mtr`` (eV; the put ends with the move) and ``mono:vel`` (eV/s). Chambers: put ``seconds``, then ``acquire`` to 1,
which ends when they have counted; then ``i0``, ``it``, ``if`` and ``ir`` are the counts.
"""

# pyright: basic, reportArgumentType=false, reportGeneralTypeIssues=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportOptionalMemberAccess=false
# (caproto's properties are replaced by what their decorators make of them, which no type checker follows)
from __future__ import annotations

import asyncio
from textwrap import dedent
from typing import Any

from caproto.server import PVGroup, SubGroup, pvproperty, run, template_arg_parser

from simulated.absorption import Foil
from simulated.beam import Beam

LOWEST, HIGHEST = 1000.0, 100_000.0
LONGEST = 3600.0


class Monochromator(PVGroup):
    """The axis of the photon energy."""

    mtr = pvproperty(value=8779.0, name="mtr", units="eV", precision=2,
                     lower_ctrl_limit=LOWEST, upper_ctrl_limit=HIGHEST)  # fmt: skip
    vel = pvproperty(value=500.0, name="vel", units="eV/s", precision=1, lower_ctrl_limit=0.1, upper_ctrl_limit=1e6)

    @mtr.putter
    async def mtr(self, _instance: Any, value: float) -> float:
        if not LOWEST <= value <= HIGHEST:
            raise ValueError(f"{value:g} eV: the monochromator goes from {LOWEST:g} to {HIGHEST:g} eV")
        await asyncio.sleep(abs(value - self.mtr.value) / self.vel.value / self.parent.hurry)
        return value

    @vel.putter
    async def vel(self, _instance: Any, value: float) -> float:
        if not value > 0:
            raise ValueError(f"{value:g} eV/s is no speed")
        return value


class XafsBeamline(PVGroup):
    """A foil in a beam."""

    mono = SubGroup(Monochromator, prefix="mono:")
    seconds = pvproperty(value=1.0, name="seconds", units="s", precision=3, doc="Dwell time",
                         lower_ctrl_limit=0.0, upper_ctrl_limit=LONGEST)  # fmt: skip
    acquire = pvproperty(value=0, name="acquire", doc="1 counts; the put ends with it")
    i0 = pvproperty(value=0.0, name="i0", read_only=True, doc="Counts before the sample")
    it = pvproperty(value=0.0, name="it", read_only=True, doc="Counts behind the sample")
    if_ = pvproperty(value=0.0, name="if", read_only=True, doc="Counts beside the sample: fluorescence")
    ir = pvproperty(value=0.0, name="ir", read_only=True, doc="Counts behind the reference foil")

    def __init__(self, *args: Any, beam: Beam, hurry: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._beam = beam
        self.hurry = hurry
        self._counting = asyncio.Lock()

    @seconds.putter
    async def seconds(self, _instance: Any, value: float) -> float:
        if not 0 < value <= LONGEST:
            raise ValueError(f"{value:g} s: a dwell time is above 0 and at most {LONGEST:g} s")
        return value

    @acquire.putter
    async def acquire(self, _instance: Any, value: int) -> int:
        if value:
            async with self._counting:
                await asyncio.sleep(self.seconds.value / self.hurry)
                counts = self._beam.count(self.mono.mtr.value, self.seconds.value)
                await self.i0.write(counts.i0)
                await self.it.write(counts.transmitted)
                await self.if_.write(counts.fluorescence)
                await self.ir.write(counts.reference)
        return 0


def main() -> None:
    parser, split = template_arg_parser(default_prefix="xafs:", desc=dedent(__doc__ or ""))
    parser.add_argument("--edge", type=float, default=8979.0, help="the foil's edge in eV; that of Cu K, if not given")
    parser.add_argument("--flux", type=float, default=1e5, help="photons in a second: the fewer, the more noise")
    parser.add_argument("--seed", type=int, help="of the noise, to have the same twice")
    parser.add_argument(
        "--hurry", type=float, default=1.0, help="how many times faster it moves and counts than it says"
    )
    wanted = parser.parse_args()
    if wanted.hurry <= 0 or wanted.flux <= 0 or not LOWEST <= wanted.edge <= HIGHEST:
        parser.error(f"--hurry and --flux are above 0, --edge from {LOWEST:g} to {HIGHEST:g}")
    group, options = split(wanted)
    run(
        XafsBeamline(beam=Beam(Foil(wanted.edge), wanted.flux, wanted.seed), hurry=wanted.hurry, **group).pvdb,
        **options,
    )


if __name__ == "__main__":
    main()
