"""The average of a series of scans while they are measured, from their documents. No display is needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Document = dict[str, Any]


def _log_ratio(numerator: float, denominator: float) -> float:
    """NaN where a chamber counted nothing, as with a closed shutter."""
    return math.log(numerator / denominator) if numerator > 0 and denominator > 0 else math.nan


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else math.nan


@dataclass(frozen=True)
class Spectrum:
    """What counts make of a sample: the absorption µd up to an offset, or what is proportional to it.

    :param label: with the unit, as for an axis
    """

    label: str
    numerator: str
    denominator: str
    of: Callable[[float, float], float]

    def value(self, data: Mapping[str, Any], columns: Mapping[str, str]) -> float:
        return self.of(float(data[columns[self.numerator]]), float(data[columns[self.denominator]]))


TRANSMISSION: Final = Spectrum("transmission: ln(I0/It)", "i0", "transmitted", _log_ratio)
FLUORESCENCE: Final = Spectrum("fluorescence: If/I0", "fluorescence", "i0", _ratio)
REFERENCE: Final = Spectrum("reference: ln(It/Ir)", "transmitted", "reference", _log_ratio)
OF_MODE: Final = {
    "transmission": (TRANSMISSION,),
    "fluorescence": (FLUORESCENCE,),
    "both": (TRANSMISSION, FLUORESCENCE),
    "reference": (REFERENCE,),
}


@dataclass
class _Scan:
    """Point (seq_num) → energy and one value for each spectrum."""

    number: int
    rows: dict[int, tuple[float, ...]] = field(default_factory=dict[int, "tuple[float, ...]"])


class SeriesAverage:
    """Averages the scans of the series that is measured now, point by point.

    A scan that goes on counts with the points it has; one that didn't end in success is left out. When a run of another
    series starts, that one is shown; runs of other plans are passed over.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        """``changed`` is called after each event that counts, and when a scan begins or ends."""
        self._changed = changed
        self._series: str | None = None
        self._start: Document = {}
        self._scans: dict[str, _Scan] = {}
        # Descriptor → run, of primary streams.
        self._streams: dict[str, str] = {}

    @property
    def title(self) -> str:
        """Of what it is, and how much."""
        fields = self._start.get("xafs", {})
        if not fields:
            return ""
        scans = f"{len(self._scans)} of {fields['nscans']} scans"
        return f"{fields['filename']}: {fields['sample']}, {fields['element']} {fields['edge']}, {scans}"

    @property
    def spectra(self) -> tuple[Spectrum, ...]:
        """What the series' mode measures."""
        return OF_MODE.get(self._start.get("xafs", {}).get("mode", ""), ())

    @property
    def series(self) -> str | None:
        return self._series

    def scans(self, which: int = 0) -> dict[int, tuple[Array, Array]]:
        """Scan number → energies and values of the spectrum ``which``."""
        found: dict[int, tuple[Array, Array]] = {}
        for scan in self._scans.values():
            rows = [scan.rows[point] for point in sorted(scan.rows)]
            found[scan.number] = (np.array([row[0] for row in rows]), np.array([row[1 + which] for row in rows]))
        return found

    def average(self, which: int = 0) -> tuple[Array, Array]:
        """Energies, and the mean of the scans that have been there; NaN where none of them has a value."""
        points = sorted({point for scan in self._scans.values() for point in scan.rows})
        energies: list[float] = []
        means: list[float] = []
        for point in points:
            rows = [scan.rows[point] for scan in self._scans.values() if point in scan.rows]
            values = [row[1 + which] for row in rows if not math.isnan(row[1 + which])]
            energies.append(sum(row[0] for row in rows) / len(rows))
            means.append(sum(values) / len(values) if values else math.nan)
        return np.array(energies), np.array(means)

    def __call__(self, name: str, document: Document) -> None:
        match name:
            case "start":
                self._begin(document)
            case "descriptor":
                self._know_stream(document)
            case "event":
                self._add(document)
            case "stop":
                self._end(document)
            case _:
                pass

    def _begin(self, start: Document) -> None:
        series = start.get("xafs_series")
        if series is None:
            return
        if series != self._series:
            self._series = series
            self._scans.clear()
            self._streams.clear()
        self._start = start
        self._scans[start["uid"]] = _Scan(int(start["scan_number"]))
        self._changed()

    def _know_stream(self, descriptor: Document) -> None:
        if descriptor.get("name") == "primary" and descriptor["run_start"] in self._scans:
            self._streams[descriptor["uid"]] = descriptor["run_start"]

    def _add(self, event: Document) -> None:
        run = self._streams.get(event["descriptor"])
        if run is None:
            return
        columns = self._start["xafs"]["columns"]
        data = event["data"]
        # A point that is measured anew after a pause has the number that it had.
        self._scans[run].rows[event["seq_num"]] = (
            float(data[columns["energy"]]),
            *(spectrum.value(data, columns) for spectrum in self.spectra),
        )
        self._changed()

    def _end(self, stop: Document) -> None:
        if stop["run_start"] not in self._scans:
            return
        if stop["exit_status"] != "success":
            del self._scans[stop["run_start"]]
            self._streams = {key: run for key, run in self._streams.items() if run != stop["run_start"]}
        self._changed()
