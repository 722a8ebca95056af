"""Devices: the classes an inventory may name, the registry that lists them, and what a dead device does.

Nothing here is imported before it is asked for: validation reads ``__all__`` from this file's source on machines
that have no Bluesky at all, and only the worker pays for loading EPICS.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ophyd_async.epics.motor import Motor

    from bluefleet.devices.camera import Camera
    from bluefleet.devices.epics import (
        Axis,
        Detector,
        RandomWalk,
        ReadOnlySignal,
        SettableSignal,
        Simple,
        Spot,
        Thermo,
    )
    from bluefleet.devices.ion_chambers import IonChambers

__all__ = [
    "Axis",
    "Camera",
    "Detector",
    "IonChambers",
    "Motor",
    "RandomWalk",
    "ReadOnlySignal",
    "SettableSignal",
    "Simple",
    "Spot",
    "Thermo",
]

_ELSEWHERE = {
    "Camera": "bluefleet.devices.camera",
    "IonChambers": "bluefleet.devices.ion_chambers",
    "Motor": "ophyd_async.epics.motor",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_ELSEWHERE.get(name, "bluefleet.devices.epics")), name)
