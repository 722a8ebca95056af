"""Plans of beamline 7."""

from bluesky import plan_stubs as bps
from bluesky import plans as bp
from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator

from beamline7.devices import Spot

__all__ = ["count_with_shutter"]


def count_with_shutter(spot: Spot, detectors: list[Readable], num: int = 1) -> MsgGenerator[str]:
    """Open the shutter, count, and close it again."""
    yield from bps.mv(spot.shutter, 1)
    uid = yield from bp.count([spot, *detectors], num)
    yield from bps.mv(spot.shutter, 0)
    return uid
