"""The live plot of a series: each scan thin, the average of them thick. For ``RE(xafs(…), AveragePlot())`` in a terminal."""

# pyright: reportUnknownMemberType=false
# (matplotlib's methods have partial types)
from __future__ import annotations

import time
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bluefleet.acquisition.xafs.average import Array, SeriesAverage

# A drawing takes some 20 ms, which the scan waits for.
DRAW_INTERVAL = 0.5
AVERAGE = "average"


class AveragePlot:
    """A RunEngine callback that keeps a figure up to date: a panel for each spectrum of the mode."""

    # A terminal calls it in the thread that owns the windows.
    draws = True

    def __init__(self, figure: Figure | None = None, interval: float = DRAW_INTERVAL) -> None:
        """Without a figure, pyplot makes a window when the first run starts."""
        self.figure = figure
        self.average = SeriesAverage(self._changed)
        self._interval = interval
        self._drawn = 0.0
        self._stale = False
        self._series: str | None = None
        self._panels: list[Axes] = []

    def __call__(self, name: str, document: dict[str, Any]) -> None:
        self.average(name, document)
        if self._stale and (name in ("start", "stop") or time.monotonic() - self._drawn >= self._interval):
            self.draw()

    def draw(self) -> None:
        """Draw what is known now."""
        figure = self._figure()
        if self._series != self.average.series:
            self._series = self.average.series
            self._make_panels(figure)
        for which, panel in enumerate(self._panels):
            scans = self.average.scans(which)
            curves = {f"scan {number}": curve for number, curve in scans.items()}
            _show(panel, {**curves, AVERAGE: self.average.average(which)})
        self._panels[0].set_title(self.average.title)
        self._panels[0].legend(loc="lower right")
        figure.canvas.draw_idle()
        self._drawn, self._stale = time.monotonic(), False

    def _figure(self) -> Figure:
        if self.figure is None:
            from matplotlib import pyplot

            self.figure = pyplot.figure(num="XAFS", clear=True)
        return self.figure

    def _make_panels(self, figure: Figure) -> None:
        figure.clear()
        spectra = self.average.spectra
        self._panels = list(figure.subplots(len(spectra), 1, sharex=True, squeeze=False)[:, 0])
        for panel, spectrum in zip(self._panels, spectra, strict=True):
            panel.plot([], [], color="black", linewidth=1.2, zorder=3, label=AVERAGE)
            panel.set_ylabel(spectrum.label)
        self._panels[-1].set_xlabel("energy (eV)")

    def _changed(self) -> None:
        self._stale = True


def _show(panel: Axes, curves: dict[str, tuple[Array, Array]]) -> None:
    """Give each curve its line; a line of a scan that was left out goes."""
    lines = {str(line.get_label()): line for line in panel.lines}
    for label in lines.keys() - curves.keys():
        lines[label].remove()
    for label, curve in curves.items():
        if label in lines:
            lines[label].set_data(*curve)
        else:
            panel.plot(*curve, linewidth=0.7, label=label)
    panel.relim()
    panel.autoscale_view()
