"""Devices of the baseline are read at both ends of a run; one that is away costs no plan anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bluesky import RunEngine
from bluesky.plans import count
from bluesky.run_engine import call_in_bluesky_event_loop
from ophyd.sim import SynAxis, SynGauss

from bluefleet.acquisition.baseline import read_baseline
from bluefleet.acquisition.guard import refuse_unreachable
from bluefleet.devices.connections import Connections


class Axis(SynAxis):
    """A simulated axis whose IOC can be taken away."""

    away = False
    broken = False

    def wait_for_connection(self, *_args: Any, **_kwargs: Any) -> None:
        if self.away:
            raise TimeoutError("no answer")

    def read(self) -> Any:
        if self.broken:
            raise OSError("it said nothing")
        return super().read()


@pytest.fixture
def axes() -> list[Axis]:
    return [Axis(name="slit"), Axis(name="mirror")]


@pytest.fixture
def connections() -> Iterator[Connections]:
    made = Connections()
    yield made
    call_in_bluesky_event_loop(made.stop(), timeout=5)


@pytest.fixture
def run_engine(axes: list[Axis], connections: Connections) -> RunEngine:
    made = RunEngine({})
    call_in_bluesky_event_loop(connections.add({axis.name: axis for axis in axes}, {}), timeout=5)
    made.preprocessors.append(refuse_unreachable(connections))
    made.preprocessors.append(read_baseline(connections, lambda: axes))
    return made


def baseline_events(run_engine: RunEngine, plan: Any) -> list[dict[str, Any]]:
    """The data of the baseline's events, after the plan succeeded."""
    found: list[dict[str, Any]] = []
    streams: dict[str, str] = {}

    def keep(name: str, document: dict[str, Any]) -> None:
        if name == "descriptor":
            streams[document["uid"]] = document["name"]
        elif name == "event" and streams[document["descriptor"]] == "baseline":
            found.append(document["data"])
        elif name == "stop":
            assert document["exit_status"] == "success"

    run_engine(plan, keep)
    return found


def detector(axis: Axis) -> SynGauss:
    return SynGauss("det", axis, axis.name, center=0, Imax=1)


def test_both_ends_of_a_run_are_read(run_engine: RunEngine, axes: list[Axis]) -> None:
    def moving() -> Any:
        from bluesky import plan_stubs as bps

        yield from bps.open_run()
        yield from bps.mv(axes[0], 3)
        yield from bps.close_run()

    assert [event["slit"] for event in baseline_events(run_engine, moving())] == [0, 3]


def test_a_device_that_does_not_answer_is_left_out(
    run_engine: RunEngine, axes: list[Axis], caplog: pytest.LogCaptureFixture
) -> None:
    axes[1].away = True
    events = baseline_events(run_engine, count([detector(axes[0])]))
    assert [sorted(event) for event in events] == [["slit", "slit_setpoint"]] * 2
    assert "the baseline is read without mirror: no connection within 2 s" in caplog.text


def test_a_plan_that_needs_the_device_is_refused_all_the_same(run_engine: RunEngine, axes: list[Axis]) -> None:
    axes[1].away = True
    with pytest.raises(Exception, match="device mirror is not available"):
        run_engine(count([axes[1]]))


def test_a_device_that_goes_during_the_run_costs_the_second_reading(run_engine: RunEngine, axes: list[Axis]) -> None:
    def losing() -> Any:
        from bluesky import plan_stubs as bps

        yield from bps.open_run()
        axes[1].away = True
        yield from bps.close_run()

    assert len(baseline_events(run_engine, losing())) == 1


def test_a_device_that_can_not_be_read_ends_no_run(
    run_engine: RunEngine, axes: list[Axis], caplog: pytest.LogCaptureFixture
) -> None:
    axes[1].broken = True
    assert baseline_events(run_engine, count([detector(axes[0])])) == []
    assert "the run has no baseline reading here: OSError: it said nothing" in caplog.text
