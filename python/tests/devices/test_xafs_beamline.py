"""The simulated absorption beamline: its IOC, over Channel Access, and a series of scans on it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.plan_stubs import mv
from bluesky.plans import count
from bluesky.run_engine import call_in_bluesky_event_loop

from bluefleet.acquisition.xafs.average import SeriesAverage
from bluefleet.acquisition.xafs.plan import xafs
from bluefleet.devices import Axis, IonChambers
from patience import PATIENCE

pytestmark = pytest.mark.filterwarnings("default")

TEXT = (Path(__file__).parents[1] / "acquisition" / "xafs" / "cufoil.ini").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def engine(iocs: Any) -> RunEngine:
    return RunEngine({})


@pytest.fixture(scope="module")
def energy(engine: RunEngine) -> Axis:
    axis = Axis("xafs:mono:", name="energy")
    call_in_bluesky_event_loop(axis.connect(timeout=10 * PATIENCE), timeout=15 * PATIENCE)
    return axis


@pytest.fixture(scope="module")
def chambers(engine: RunEngine) -> IonChambers:
    found = IonChambers("xafs:", name="chambers")
    call_in_bluesky_event_loop(found.connect(timeout=10 * PATIENCE), timeout=15 * PATIENCE)
    return found


def row(engine: RunEngine, *devices: Any) -> dict[str, Any]:
    """What one event of these devices has."""
    found: dict[str, Any] = {}
    engine(count([*devices]), {"event": [lambda _, document: found.update(document["data"])]})
    return found


def test_counts_are_those_of_the_energy_and_the_time_that_were_set(
    engine: RunEngine, energy: Axis, chambers: IonChambers
) -> None:
    engine(mv(energy, 8900, chambers.seconds, 1.0))
    below = row(engine, chambers)
    engine(mv(energy, 9000))
    above = row(engine, chambers)
    assert above["chambers-transmitted"] < 0.6 * below["chambers-transmitted"]
    assert above["chambers-fluorescence"] > 20 * below["chambers-fluorescence"]
    assert above["chambers-i0"] == pytest.approx(below["chambers-i0"], rel=0.1)
    engine(mv(chambers.seconds, 4.0))
    longer = row(engine, chambers)
    assert longer["chambers-seconds"] == 4.0
    assert longer["chambers-i0"] == pytest.approx(4 * above["chambers-i0"], rel=0.1)


def test_what_the_beamline_can_not_do_is_refused_and_nothing_moves(
    engine: RunEngine, energy: Axis, chambers: IonChambers
) -> None:
    engine(mv(energy, 9000, chambers.seconds, 1.0))
    for signal, value in ((energy.position, 500.0), (chambers.seconds, -1.0)):
        # Whether a refused put raises depends on Python: 3.11 loses aioca's exception.
        with suppress(Exception):
            engine(mv(signal, value))
    assert row(engine, energy, chambers)["energy"] == 9000
    assert row(engine, chambers)["chambers-seconds"] == 1.0


def a_series(engine: RunEngine, text: str, energy: Axis, chambers: IonChambers) -> SeriesAverage:
    average = SeriesAverage()
    engine(xafs(text, energy, chambers), average)
    return average


def looks_like_copper(energies: Any, values: Any) -> bool:
    """Flat before 8979 eV, a step there, the white line some 15 eV later."""
    at = [float(np.interp(8979 + each, energies, values)) for each in (-50, -15, 14, 40)]
    before, foot, peak, after = at
    return abs(foot - before) < 0.1 and peak - foot > 1.0 and peak > after + 0.1


@pytest.mark.slow
def test_a_short_series_shows_the_edge(engine: RunEngine, energy: Axis, chambers: IonChambers) -> None:
    text = (
        TEXT.replace("-200  -30  -10  15.5  15k", "-60 -15 40")
        .replace("10    2.0  0.3  0.05k", "30 4")
        .replace("0.5   0.5  0.5  0.25k", "0.5 0.5")
        .replace("nscans        = 3", "nscans = 2")
    )
    average = a_series(engine, text, energy, chambers)
    assert set(average.scans()) == {1, 2}
    assert looks_like_copper(*average.average())


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_slides_scan_shows_edge_and_fine_structure(engine: RunEngine, energy: Axis, chambers: IonChambers) -> None:
    average = a_series(engine, TEXT.replace("nscans        = 3", "nscans = 1"), energy, chambers)
    energies, values = average.average()
    assert len(energies) == 373
    assert looks_like_copper(energies, values)
    far = energies > 8979 + 40
    smooth = np.polynomial.Polynomial.fit(energies[far], values[far], 3)(energies[far])
    wiggles = values[far] - smooth
    assert 0.02 < np.abs(wiggles).max() < 0.3
    assert np.sum(np.diff(np.sign(np.convolve(wiggles, np.ones(5) / 5, "valid"))) != 0) >= 6
