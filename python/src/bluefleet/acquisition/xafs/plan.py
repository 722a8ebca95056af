"""The plan: ``nscans`` runs over one edge."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (bluesky's stubs and preprocessors have partial types)
# No `from __future__ import annotations`: the queue shows people the annotations, and reads them as objects.
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable
from uuid import uuid4

from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import Msg, MsgGenerator

from bluefleet.acquisition.xafs.mistakes import Mistake, XafsRefused
from bluefleet.acquisition.xafs.points import Point, points
from bluefleet.acquisition.xafs.scan import XafsScan

# Counter → which signal of the chambers it is.
COUNTERS = ("i0", "transmitted", "fluorescence", "reference")


@runtime_checkable
class Chambers(Readable[Any], Protocol):
    """What counts: bluefleet.devices.IonChambers, or a site's own with the same names."""

    seconds: Movable[float]
    i0: Readable[Any]
    transmitted: Readable[Any]
    fluorescence: Readable[Any]
    reference: Readable[Any]


def xafs(
    scan: str | dict[str, Any],
    energy: Movable[float],
    chambers: Readable[Any],
    baseline: list[Readable[Any]] | None = None,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[tuple[str, ...]]:
    """Measure an X-ray absorption spectrum as a text of the form of an INI file describes it, nscans times.

    Parameters
    ----------
    scan
        The text, the fields of it, or the name of a file (….ini) where the plan runs.
    energy
        The axis of the photon energy, in eV.
    chambers
        What counts: a device of class bluefleet.devices.IonChambers.
    baseline
        Devices that are read before and after each run.
    md
        Further metadata.
    """
    wanted = XafsScan.read(scan)
    _refuse_other_devices(energy, chambers)
    way = points(wanted)
    common = _metadata(wanted, way, energy, chambers)
    runs: list[str] = []

    @bpp.stage_decorator([energy, chambers])
    def every_scan() -> MsgGenerator[None]:
        for number in range(wanted.start, wanted.start + wanted.nscans):
            of_run = {**common, "scan_number": number, "file": f"{wanted.filename}.{number:03d}", **(md or {})}
            one = bpp.run_wrapper(_over(way, energy, chambers), md=of_run)
            uid = yield from bpp.baseline_wrapper(one, baseline or [])
            runs.append(str(uid))

    yield from every_scan()
    return tuple(runs)


def _over(way: Sequence[Point], energy: Any, chambers: Any) -> MsgGenerator[None]:
    """One scan: move, set the time, count, at each point."""
    seconds: float | None = None
    for point in way:
        yield Msg("checkpoint")
        yield from bps.mv(energy, point.energy)
        if point.seconds != seconds:
            yield from bps.mv(chambers.seconds, point.seconds)
            seconds = point.seconds
        yield from bps.trigger_and_read([energy, chambers])


def _metadata(wanted: XafsScan, way: Sequence[Point], energy: Any, chambers: Any) -> dict[str, Any]:
    """Every field under ``xafs``, as written: regions' numbers stay texts, because of their k."""
    fields = wanted.model_dump(mode="json")
    fields |= {name: [str(each) for each in getattr(wanted, name)] for name in ("bounds", "steps", "times")}
    return {
        "plan_name": "xafs",
        "plan_args": {"energy": repr(energy), "chambers": repr(chambers)},
        "detectors": [chambers.name],
        "motors": [energy.name],
        "num_points": len(way),
        "num_intervals": len(way) - 1,
        "hints": {"dimensions": [(list(energy.hints["fields"]), "primary")]},
        # What the runs of one call have in common, for whoever averages them.
        "xafs_series": str(uuid4()),
        "xafs": {
            **fields,
            "seconds": round(sum(point.seconds for point in way), 3),
            "columns": {
                "energy": energy.hints["fields"][0],
                **{name: getattr(chambers, name).name for name in COUNTERS},
            },
        },
    }


def _refuse_other_devices(energy: object, chambers: object) -> None:
    """What a queue can't know: a misspelt device comes as a text."""
    mistakes: list[Mistake] = []
    if isinstance(energy, str) or not isinstance(energy, Movable) or not hasattr(energy, "hints"):
        mistakes.append(Mistake("energy", f"{_named(energy)} is no axis; name the device that sets the photon energy"))
    if not isinstance(chambers, Chambers):
        mistakes.append(
            Mistake("chambers", f"{_named(chambers)} has no dwell time and counters; name one of class IonChambers")
        )
    if mistakes:
        raise XafsRefused(mistakes)


def _named(thing: object) -> str:
    return f"{thing!r}" if isinstance(thing, str | int | float | Mapping) else str(getattr(thing, "name", thing))
