"""What a person at a terminal sees of a run, and in which thread it is drawn."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from bluesky.plans import scan
from ophyd.sim import det, motor

from bluefleet.acquisition.screen import WatchedRunEngine


class Drawing:
    """A callback that draws."""

    draws = True

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.names: list[str] = []

    def __call__(self, name: str, _document: dict[str, Any]) -> None:
        self.threads.append(threading.current_thread())
        self.names.append(name)


@pytest.fixture
def run_engine() -> WatchedRunEngine:
    return WatchedRunEngine({}, windows=False)


def test_a_run_has_its_heading_and_table_when_the_prompt_is_back(
    run_engine: WatchedRunEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    (uid,) = run_engine(scan([det], motor, -1, 1, 5))
    printed = capsys.readouterr().out
    assert f"Persistent Unique Scan ID: '{uid}'" in printed
    assert "|         5 |" in printed
    assert f"generator scan ['{uid[:8]}'] (scan num: 1)" in printed


def test_what_draws_is_called_by_the_thread_that_owns_the_windows(run_engine: WatchedRunEngine) -> None:
    drawing, other = Drawing(), list[threading.Thread]()
    run_engine(scan([det], motor, -1, 1, 3), [drawing, lambda *_: other.append(threading.current_thread())])
    assert set(drawing.threads) == {threading.main_thread()}
    assert drawing.names == ["start", "descriptor", *["event"] * 3, "stop"]
    assert threading.main_thread() not in other


def test_what_can_not_be_drawn_ends_no_run(run_engine: WatchedRunEngine, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Drawing):
        def __call__(self, _name: str, _document: dict[str, Any]) -> None:
            raise RuntimeError("no display")

    (uid,) = run_engine(scan([det], motor, -1, 1, 3), Broken())
    assert uid
    assert "a start document can't be shown; the run goes on" in caplog.text
