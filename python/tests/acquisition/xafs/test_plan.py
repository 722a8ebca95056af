"""The plan in a RunEngine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bluesky import plan_stubs as bps
from bluesky.preprocessors import plan_mutator
from bluesky.utils import FailedStatus, Msg, RunEngineInterrupted
from ophyd.sim import SynSignal
from tests.acquisition.xafs.conftest import SHORT, Beamline

from bluefleet.acquisition.xafs.mistakes import XafsRefused
from bluefleet.acquisition.xafs.plan import xafs


def test_each_scan_is_a_run_with_a_number_and_all_fields(beamline: Beamline) -> None:
    uids = beamline.RE(xafs(SHORT, beamline.energy, beamline.chambers, md={"proposal": 7}))
    starts = beamline.of("start")
    assert [start["uid"] for start in starts] == list(uids)
    assert [(start["scan_number"], start["file"]) for start in starts] == [
        (1, "cufoil.001"), (2, "cufoil.002"), (3, "cufoil.003"),
    ]  # fmt: skip
    assert len({start["xafs_series"] for start in starts}) == 1
    for start in starts:
        assert start["plan_name"] == "xafs"
        assert start["proposal"] == 7
        assert start["hints"]["dimensions"] == [(["energy"], "primary")]
        assert {key: start["xafs"][key] for key in start["xafs"] if key not in ("columns", "seconds")} == {
            "filename": "cufoil",
            "experimenters": ["Betty Cooper", "Veronica Lodge", "Archibald Andrews"],
            "e0": 8979.0, "element": "Cu", "edge": "K",
            "sample": "Cu metal", "prep": "standard foil", "comment": "Welcome to BMM",
            "nscans": 3, "start": 1, "mode": "transmission",
            "bounds": ["-200", "-20", "20", "12k"], "steps": ["60", "4", "0.5k"], "times": ["0.5", "0.5", "0.25k"],
        }  # fmt: skip
        json.dumps(start)
    assert [stop["exit_status"] for stop in beamline.of("stop")] == ["success"] * 3


def test_each_point_is_counted_where_and_for_as_long_as_it_should(beamline: Beamline) -> None:
    beamline.RE(xafs(SHORT.replace("nscans        = 3", "nscans = 1"), beamline.energy, beamline.chambers))
    (start,), events = beamline.of("start"), beamline.of("event")
    assert len(events) == start["num_points"]
    data = [event["data"] for event in events]
    assert [row["energy"] - 8979 for row in data[:5]] == pytest.approx([-200, -140, -80, -20, -16])
    assert data[-1]["chambers-seconds"] == pytest.approx(0.25 * 12)
    assert sum(row["chambers-seconds"] for row in data) == pytest.approx(start["xafs"]["seconds"], abs=0.001)


def test_numbers_begin_where_the_text_says(beamline: Beamline) -> None:
    text = SHORT.replace("start         = 1", "start = 41").replace("nscans        = 3", "nscans = 2")
    beamline.RE(xafs(text, beamline.energy, beamline.chambers))
    assert [start["file"] for start in beamline.of("start")] == ["cufoil.041", "cufoil.042"]


def test_what_is_asked_for_is_read_before_and_after_each_run(beamline: Beamline) -> None:
    current = SynSignal(name="current", func=lambda: 400.0)
    fields = {
        "filename": "f", "element": "Cu", "edge": "K", "sample": "s", "nscans": 2,
        "bounds": [-10, 10], "steps": [10], "times": [1],
    }  # fmt: skip
    beamline.RE(xafs(fields, beamline.energy, beamline.chambers, [current]))
    streams = {one["uid"]: one["name"] for one in beamline.of("descriptor")}
    named = [streams[event["descriptor"]] for event in beamline.of("event")]
    assert named == ["baseline", "primary", "primary", "primary", "baseline"] * 2


def test_a_scan_that_can_not_be_done_moves_nothing_and_opens_no_run(beamline: Beamline) -> None:
    beamline.energy.set(8000).wait(1)
    with pytest.raises(XafsRefused, match="mode = xanes: choose one of"):
        beamline.RE(xafs(SHORT.replace("mode = transmission", "mode = xanes"), beamline.energy, beamline.chambers))
    assert beamline.documents == []
    assert beamline.energy.position == 8000


def test_what_is_no_axis_and_no_chambers_is_told_by_name(beamline: Beamline) -> None:
    # The queue passes a misspelt device on as a text.
    wrong: Any = "enregy"
    with pytest.raises(XafsRefused) as refusal:
        beamline.RE(xafs(SHORT, wrong, beamline.energy))
    assert str(refusal.value).splitlines()[1:] == [
        "energy: 'enregy' is no axis; name the device that sets the photon energy",
        "chambers: energy has no dwell time and counters; name one of class IonChambers",
    ]
    assert beamline.documents == []


def test_a_paused_scan_goes_on_where_it_was(beamline: Beamline) -> None:
    commands: list[str] = []

    def pause_within_the_fifth_point(message: Msg) -> tuple[Any, Any]:
        commands.append(message.command)
        now = message.command == "trigger" and commands.count("trigger") == 5
        return None, bps.pause() if now else None

    text = SHORT.replace("nscans        = 3", "nscans = 1")
    with pytest.raises(RunEngineInterrupted):
        beamline.RE(plan_mutator(xafs(text, beamline.energy, beamline.chambers), pause_within_the_fifth_point))
    beamline.RE.resume()
    numbers = [event["seq_num"] for event in beamline.of("event")]
    assert numbers == list(range(1, beamline.of("start")[0]["num_points"] + 1))


def test_chambers_that_fail_end_the_series(beamline: Beamline) -> None:
    def fail() -> None:
        raise OSError("no gas")

    beamline.chambers.before_counting = fail
    with pytest.raises(FailedStatus):
        beamline.RE(xafs(SHORT, beamline.energy, beamline.chambers))
    (stop,) = beamline.of("stop")
    assert stop["exit_status"] == "fail"
