"""The plans of every RunEngine. A site's own come from its acquisition packages."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# (bluesky's plans have partial types)
from bluesky import plan_stubs as bps
from bluesky import plans as bp

from bluefleet.acquisition import moves
from bluefleet.acquisition.adaptive import plan as campaign
from bluefleet.acquisition.device_names import WHOLE_DEPTH, names_devices
from bluefleet.acquisition.xafs import plan as absorption

__all__ = [
    "adaptive",
    "adaptive_scan",
    "count",
    "fly",
    "grid_scan",
    "list_grid_scan",
    "list_scan",
    "log_scan",
    "mv",
    "mvr",
    "ramp_plan",
    "rel_adaptive_scan",
    "rel_grid_scan",
    "rel_list_grid_scan",
    "rel_list_scan",
    "rel_log_scan",
    "rel_scan",
    "rel_spiral",
    "rel_spiral_fermat",
    "rel_spiral_square",
    "scan",
    "scan_nd",
    "sleep",
    "spiral",
    "spiral_fermat",
    "spiral_square",
    "tune_centroid",
    "tweak",
    "x2x_scan",
    "xafs",
]

# One argument of those that follow the detectors: an axis, or what is said of it. Bluesky annotates them as anything at
# all, and each argument of list_scan as a pair.
_NUMBERS = "typing.Union[__MOVABLE__, float]"
_POSITIONS = "typing.Union[__MOVABLE__, typing.List[typing.Any]]"
# A position of its may be a text.
_ANYTHING = "typing.Union[__MOVABLE__, typing.Any]"
# All axes, none, or these.
_SNAKED = "typing.Union[bool, typing.List[__MOVABLE__], None]"

adaptive = names_devices(campaign.adaptive, args=_NUMBERS)
adaptive_scan = names_devices(bp.adaptive_scan)
count = names_devices(bp.count)
fly = names_devices(bp.fly)
grid_scan = names_devices(bp.grid_scan, args=_NUMBERS, snake_axes=_SNAKED)
list_grid_scan = names_devices(bp.list_grid_scan, args=_POSITIONS, snake_axes=_SNAKED)
list_scan = names_devices(bp.list_scan, args=_POSITIONS)
log_scan = names_devices(bp.log_scan)
# What is set before a scan may lie deep in a detector.
mv = names_devices(moves.mv, WHOLE_DEPTH, more=_ANYTHING)
mvr = names_devices(bps.mvr, WHOLE_DEPTH, args=_NUMBERS)
ramp_plan = names_devices(bp.ramp_plan)
rel_adaptive_scan = names_devices(bp.rel_adaptive_scan)
rel_grid_scan = names_devices(bp.rel_grid_scan, args=_NUMBERS, snake_axes=_SNAKED)
rel_list_grid_scan = names_devices(bp.rel_list_grid_scan, args=_POSITIONS, snake_axes=_SNAKED)
rel_list_scan = names_devices(bp.rel_list_scan, args=_POSITIONS)
rel_log_scan = names_devices(bp.rel_log_scan)
rel_scan = names_devices(bp.rel_scan, args=_NUMBERS)
rel_spiral = names_devices(bp.rel_spiral)
rel_spiral_fermat = names_devices(bp.rel_spiral_fermat)
rel_spiral_square = names_devices(bp.rel_spiral_square)
scan = names_devices(bp.scan, args=_NUMBERS)
scan_nd = names_devices(bp.scan_nd)
sleep = bps.sleep
spiral = names_devices(bp.spiral)
spiral_fermat = names_devices(bp.spiral_fermat)
spiral_square = names_devices(bp.spiral_square)
tune_centroid = names_devices(bp.tune_centroid)
tweak = names_devices(bp.tweak)
x2x_scan = names_devices(bp.x2x_scan)
xafs = names_devices(absorption.xafs)
