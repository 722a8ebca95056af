"""The device classes against real IOCs, in a real RunEngine."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bluesky import RunEngine
from bluesky.plan_stubs import mv
from bluesky.plans import count, scan
from bluesky.run_engine import call_in_bluesky_event_loop

import bluefleet.devices
from bluefleet.devices.__main__ import main
from patience import PATIENCE

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def engine(iocs: Any) -> RunEngine:
    return RunEngine({})


def connected(device: Any) -> Any:
    call_in_bluesky_event_loop(device.connect(timeout=10 * PATIENCE), timeout=15 * PATIENCE)
    return device


def events(engine: RunEngine, plan: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    engine(plan, {"event": [lambda _, document: found.append(document["data"])]})
    return found


def test_every_listed_class_exists() -> None:
    listed = [getattr(bluefleet.devices, name) for name in bluefleet.devices.__all__]
    assert all(isinstance(cls, type) for cls in listed)


def test_classes_are_listed_where_validation_reads_them() -> None:
    tree = ast.parse(Path(bluefleet.devices.__file__).read_text(encoding="utf-8"))
    lists = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
    ]
    assert lists == [bluefleet.devices.__all__]


def test_naming_the_package_loads_no_epics() -> None:
    code = "import bluefleet.devices, sys; sys.exit(any(m in sys.modules for m in ('ophyd_async', 'aioca', 'happi')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_a_move_ends_when_the_axis_is_there(engine: RunEngine) -> None:
    axis = connected(bluefleet.devices.Axis("mini:edge:", name="axis"))
    engine(mv(axis.velocity, 20))
    engine(mv(axis, 5))
    assert call_in_bluesky_event_loop(axis.locate())["readback"] == pytest.approx(5)


def test_a_detector_gives_what_was_measured_after_the_move(engine: RunEngine) -> None:
    axis = connected(bluefleet.devices.Axis("mini:ph:", name="axis"))
    pinhole = connected(bluefleet.devices.Detector("mini:ph:", name="pinhole"))
    engine(mv(axis.velocity, 100))
    rows = events(engine, scan([pinhole], axis, -20, 0, 2))
    # 200 counts/mA/s of 500 mA, a Gaussian of width 5: some 34 at -20 and 100000 at 0; a late value would mix them.
    assert rows[0]["pinhole"] < 200
    assert rows[1]["pinhole"] > 80_000


def test_columns_are_named_like_the_devices(engine: RunEngine) -> None:
    walk = connected(bluefleet.devices.RandomWalk("random_walk:", name="walk"))
    current = connected(bluefleet.devices.ReadOnlySignal("mini:current", name="current"))
    spot_x = connected(bluefleet.devices.SettableSignal("mini:dot:mtrx", name="spot_x"))
    engine(mv(spot_x, 3))
    (row,) = events(engine, count([walk, current, spot_x]))
    assert set(row) == {"walk", "current", "spot_x"}
    assert 470 <= row["current"] <= 530
    assert row["spot_x"] == pytest.approx(3)


@pytest.mark.parametrize(
    ("pv", "declared", "dtype", "value"),
    [
        ("mini:current", None, "number", float),
        ("mini:current", "float", "number", float),
        ("mini:dot:shutter_open", None, "integer", int),
        ("mini:dot:shutter_open", "int", "integer", int),
        ("cam1:state", None, "string", str),
        ("cam1:state", "str", "string", str),
        ("cam1:series", "str", "string", str),
    ],
)
def test_a_signal_has_the_type_of_its_pv(
    engine: RunEngine, pv: str, declared: str | None, dtype: str, value: type
) -> None:
    signal = connected(bluefleet.devices.ReadOnlySignal(pv, name="signal", type=declared))
    documents: dict[str, Any] = {}
    engine(count([signal]), documents.__setitem__)
    assert documents["descriptor"]["data_keys"]["signal"]["dtype"] == dtype
    assert documents["descriptor"]["data_keys"]["signal"]["shape"] == []
    assert type(documents["event"]["data"]["signal"]) is value


def test_a_text_and_an_integer_are_set_and_read(engine: RunEngine) -> None:
    series = connected(bluefleet.devices.SettableSignal("cam1:series", name="series", type="str"))
    shutter = connected(bluefleet.devices.SettableSignal("mini:dot:shutter_open", name="shutter"))
    engine(mv(series, "by-signal/one", shutter, 0))
    (row,) = events(engine, count([series, shutter]))
    assert row == {"series": "by-signal/one", "shutter": 0}
    engine(mv(shutter, 1))
    (row,) = events(engine, count([shutter]))
    assert row == {"shutter": 1}


def test_a_type_that_no_signal_has_is_refused() -> None:
    with pytest.raises(ValueError, match="'integer' is none of float, int, str, bool"):
        bluefleet.devices.ReadOnlySignal("mini:current", type="integer")


def test_the_check_names_a_class_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "bluefleet.devices.Axis"]) == 0
    assert main(["check", "bluefleet.devices.Axis", "bluefleet.devices.Nope", "no.such.Thing"]) == 2
    refusals = capsys.readouterr().err
    assert "bluefleet.devices.Nope" in refusals
    assert "acquisition_packages" in refusals


def test_the_check_refuses_what_cannot_be_made_from_a_prefix_and_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "pathlib.PurePath"]) == 0 or "prefix" in capsys.readouterr().err
    assert importlib.import_module("bluefleet.devices.__main__").main(["check", "builtins.abs"]) == 2
