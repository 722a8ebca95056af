"""What a first scan looks at: it moves and reads only what is simulated, whatever else the site has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bluefleet.model import Instance, Site

# The IOC whose pinhole has a known centre, and where its process variables are below its prefix.
_BEAMLINE, _PINHOLE = "mini_beamline", "ph:"
# The same of a foil in a beam whose energy can be set.
_ABSORPTION, _MONOCHROMATOR = "simulated.xafs_beamline", "mono:"
_AXIS, _DETECTOR, _COMPANION, _CHAMBERS = (
    f"bluefleet.devices.{name}" for name in ("Axis", "Detector", "RandomWalk", "IonChambers")
)


@dataclass(frozen=True)
class Pinhole:
    """A simulated pinhole, which is scanned; its companion, if there is one, is read with it from another IOC."""

    axis: str = "motor_ph"
    detector: str = "pinhole"
    companion: str | None = "random_walk"

    @property
    def detectors(self) -> list[str]:
        """What is read at each point."""
        return [self.detector, *([self.companion] if self.companion else [])]


@dataclass(frozen=True)
class Readings:
    """Simulated devices, one of each instance, which are read a few times."""

    devices: tuple[str, ...]


def subject_of(site: Site) -> Pinhole | Readings | None:
    """The pinhole, where a simulated beamline runs; else what else is simulated; None on a site with neither."""
    running = list(_running(site))
    for instance, _ in running:
        prefix = f"{instance.pv_prefix}{_PINHOLE}"
        if instance.command[:1] != [_BEAMLINE]:
            continue
        axis, detector = (_device(instance, class_path, prefix) for class_path in (_AXIS, _DETECTOR))
        if axis and detector:
            companions = (_device(other, _COMPANION) for other, _ in running)
            return Pinhole(axis, detector, next(filter(None, companions), None))
    read = tuple(instance.devices[0].name for instance, simulated in running if simulated and instance.devices)
    return Readings(read) if read else None


def absorption_of(site: Site) -> tuple[str, str] | None:
    """Energy and ion chambers of a simulated absorption edge, where one runs."""
    for instance, _ in _running(site):
        energy = _device(instance, _AXIS, f"{instance.pv_prefix}{_MONOCHROMATOR}")
        chambers = _device(instance, _CHAMBERS)
        if instance.command[:1] == [_ABSORPTION] and energy and chambers:
            return energy, chambers
    return None


def _running(site: Site) -> Iterator[tuple[Instance, bool]]:
    """Instances as they are declared to run, each with whether it is its twin."""
    for node in site.nodes:
        for instance in node.instances:
            twin = instance.twin() if node.simulates(instance) else None
            yield twin or instance, twin is not None


def _device(instance: Instance, class_path: str, prefix: str | None = None) -> str | None:
    """The instance's first device of a class, with this prefix if it has to have one."""
    fitting = (one for one in instance.devices if one.class_path == class_path and prefix in (None, one.prefix))
    return next((one.name for one in fitting), None)
