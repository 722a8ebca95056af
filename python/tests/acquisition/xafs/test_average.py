"""What a person sees while a series is measured."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tests.acquisition.xafs.conftest import SHORT, Beamline

from bluefleet.acquisition.xafs.average import OF_MODE, SeriesAverage
from bluefleet.acquisition.xafs.plan import xafs
from bluefleet.acquisition.xafs.plot import AveragePlot
from bluefleet.acquisition.xafs.scan import MODES

mpl.use("Agg")


def document_of(number: int, series: str, mode: str = "transmission") -> dict[str, object]:
    """The start document of a scan."""
    columns = {name: name for name in ("energy", "i0", "transmitted", "fluorescence", "reference")}
    fields = {
        "filename": "f", "sample": "s", "element": "Cu", "edge": "K", "nscans": 2, "mode": mode, "columns": columns,
    }  # fmt: skip
    return {"uid": f"{series}{number}", "xafs_series": series, "scan_number": number, "xafs": fields}


def measured(average: SeriesAverage, run: str, *rows: tuple[int, float]) -> None:
    """Events of a run: number of the point, and ln(I0/It)."""
    average("descriptor", {"uid": f"d-{run}", "run_start": run, "name": "primary"})
    for point, value in rows:
        data = {
            "energy": 100.0 * point,
            "i0": math.exp(value),
            "transmitted": 1.0,
            "fluorescence": 2.0,
            "reference": 0.0,
        }
        average("event", {"descriptor": f"d-{run}", "seq_num": point, "data": data})


def test_points_are_averaged_over_the_scans_that_have_been_there() -> None:
    average = SeriesAverage()
    for number, rows in ((1, ((1, 1.0), (2, 2.0), (3, 3.0))), (2, ((1, 2.0), (2, 4.0)))):
        average("start", document_of(number, "a"))
        measured(average, f"a{number}", *rows)
    energies, values = average.average()
    assert list(energies) == [100, 200, 300]
    assert list(values) == pytest.approx([1.5, 3.0, 3.0])
    assert average.title == "f: s, Cu K, 2 of 2 scans"


def test_a_point_that_is_measured_again_replaces_what_it_was() -> None:
    average = SeriesAverage()
    average("start", document_of(1, "a"))
    measured(average, "a1", (1, 1.0), (2, 9.0), (2, 2.0))
    assert list(average.average()[1]) == pytest.approx([1.0, 2.0])


def test_a_scan_that_failed_is_left_out() -> None:
    average = SeriesAverage()
    for number, value in ((1, 1.0), (2, 50.0)):
        average("start", document_of(number, "a"))
        measured(average, f"a{number}", (1, value))
        average("stop", {"run_start": f"a{number}", "exit_status": "success" if number == 1 else "abort"})
    assert list(average.average()[1]) == pytest.approx([1.0])


def test_another_series_begins_anew_and_other_plans_are_passed_over() -> None:
    average = SeriesAverage()
    average("start", document_of(1, "a"))
    measured(average, "a1", (1, 1.0))
    average("start", {"uid": "c", "plan_name": "count"})
    measured(average, "c", (1, 70.0))
    average("stop", {"run_start": "c", "exit_status": "success"})
    assert list(average.average()[1]) == pytest.approx([1.0])
    average("start", document_of(1, "b"))
    measured(average, "b1", (1, 4.0))
    assert list(average.average()[1]) == pytest.approx([4.0])


def test_a_chamber_that_counts_nothing_makes_a_gap_and_no_error() -> None:
    average = SeriesAverage()
    average("start", document_of(1, "a", "reference"))
    measured(average, "a1", (1, 1.0))
    assert np.isnan(average.average()[1]).all()


def test_every_mode_has_its_spectra() -> None:
    assert set(OF_MODE) == set(MODES)


def test_the_average_of_a_series_has_less_noise_than_a_scan(beamline: Beamline) -> None:
    average = SeriesAverage()
    text = SHORT.replace("nscans        = 3", "nscans = 4").replace("0.5 0.5 0.25k", "0.001 0.001 0.001")
    beamline.RE.subscribe(average)
    beamline.RE(xafs(text, beamline.energy, beamline.chambers))
    _, mean = average.average()
    scans = [values for _, values in average.scans().values()]
    assert len(scans) == 4
    np.testing.assert_allclose(mean, np.mean(scans, axis=0))
    assert mean[-1] > mean[0] + 0.5


@pytest.mark.parametrize(("mode", "panels"), [("transmission", 1), ("both", 2)])
def test_the_plot_shows_each_scan_and_the_average_while_it_is_measured(
    beamline: Beamline, tmp_path: Path, mode: str, panels: int
) -> None:
    figure = Figure()
    FigureCanvasAgg(figure)
    plot = AveragePlot(figure, interval=0.0)
    lines: list[int] = []

    def note(name: str, document: object) -> None:
        plot(name, document)  # pyright: ignore[reportArgumentType]
        if name == "event":
            lines.append(len(figure.axes[0].lines[0].get_xdata()))

    fields = {
        "filename": "f", "element": "Cu", "edge": "K", "sample": "s", "nscans": 2, "mode": mode,
        "bounds": [-80, 80], "steps": [80], "times": [1],
    }  # fmt: skip
    beamline.RE(xafs(fields, beamline.energy, beamline.chambers), note)
    count = beamline.of("start")[0]["num_points"]
    assert lines == [*range(1, count + 1), *[count] * count]
    assert len(figure.axes) == panels
    for axes in figure.axes:
        assert [line.get_label() for line in axes.lines] == ["average", "scan 1", "scan 2"]
        _, values = axes.lines[0].get_data()
        assert values[-1] > values[0]
    figure.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5_000


def test_a_window_is_made_when_a_series_starts_and_not_before(beamline: Beamline) -> None:
    from matplotlib import pyplot

    plot = AveragePlot()
    assert pyplot.get_fignums() == []
    try:
        plot("start", document_of(1, "a"))
        assert pyplot.get_figlabels() == ["XAFS"]
    finally:
        pyplot.close("all")
