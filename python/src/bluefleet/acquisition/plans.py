"""The plans of every RunEngine. A site's own come from its acquisition packages."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# (bluesky's plans have partial types)
from bluesky.plan_stubs import mv, mvr, sleep
from bluesky.plans import (
    adaptive_scan,
    count,
    fly,
    grid_scan,
    list_grid_scan,
    list_scan,
    log_scan,
    ramp_plan,
    rel_adaptive_scan,
    rel_grid_scan,
    rel_list_grid_scan,
    rel_list_scan,
    rel_log_scan,
    rel_scan,
    rel_spiral,
    rel_spiral_fermat,
    rel_spiral_square,
    scan,
    scan_nd,
    spiral,
    spiral_fermat,
    spiral_square,
    tune_centroid,
    tweak,
    x2x_scan,
)

from bluefleet.acquisition.adaptive.plan import adaptive
from bluefleet.acquisition.xafs.plan import xafs

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
