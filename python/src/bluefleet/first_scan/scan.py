"""What the first scan does: open the environment, scan the pinhole, read the run back, find its centre."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bluefleet.first_scan.errors import StageFailed
from bluefleet.first_scan.gaussian import Gaussian, NoPeak, fit_gaussian
from bluefleet.first_scan.queue import Outcome, Queue
from bluefleet.first_scan.runs import Runs, StoredRun

AXIS, DETECTOR, COMPANION = "motor_ph", "pinhole", "random_walk"
START, END, POINTS = -15, 15, 31
# mini_beamline's axis does 1 per second after a start, which would make this a minute's scan.
VELOCITY = 10
# mini_beamline's pinhole is at 0 with a width of 5; beam current and counting noise move the fit by 0.1.
CENTRE_TOLERANCE = 0.5

SCAN_DEADLINE = 300.0
STORED_DEADLINE = 60.0

# Told what is going on: the stage, and how many of how many events are there (nothing when that has no meaning).
Progress = Callable[[str, int | None], None]


@dataclass(frozen=True)
class ScanResult:
    """The run as it was read back, and what was found in it."""

    uid: str
    run: StoredRun
    fit: Gaussian


class FirstScan:
    """One first scan on one site.

    :param events: how many events of a run are spooled, for the progress bar; nothing when that can't be told
    :param hosts: names of the hosts of the acquisition and of the data pod, for what goes wrong
    """

    def __init__(self, queue: Queue, runs: Runs, events: Callable[[], int | None], hosts: tuple[str, str]) -> None:
        self._queue = queue
        self._runs = runs
        self._events = events
        self._acquisition, self._data = hosts

    def run(self, progress: Progress) -> ScanResult:
        """Do it. Raises StageFailed naming stage, host and log."""
        progress("wait for the queue", None)
        self._queue.wait_until_it_answers()
        self._queue.open_environment(lambda status: progress(f"open the environment ({_where(status)})", None))
        self._queue.refuse_missing({AXIS, DETECTOR, COMPANION})
        set_velocity = {"name": "mv", "args": [f"{AXIS}.velocity", VELOCITY]}
        self._must_complete(
            "mv", self._queue.run_now(set_velocity, 60, lambda _: progress(f"set the velocity of {AXIS}", None))
        )
        plan = {"name": "scan", "args": [[DETECTOR, COMPANION], AXIS, START, END, POINTS]}
        outcome = self._queue.run_queued(plan, SCAN_DEADLINE, lambda _: progress(f"scan {AXIS}", self._events()))
        self._must_complete("scan", outcome)
        progress(f"scan {AXIS}", POINTS)
        uid = outcome.run_uids[0]
        stored = self._runs.wait_for(uid, STORED_DEADLINE, lambda how: progress(f"read the run back ({how})", POINTS))
        return ScanResult(uid, stored, self._centre(uid, stored))

    def _must_complete(self, plan: str, outcome: Outcome) -> None:
        if outcome.exit_status != "completed":
            lines = outcome.message.strip().splitlines() or [f"the plan ended {outcome.exit_status}"]
            raise StageFailed(
                lines[-1], stage=f"run {plan}", host=self._acquisition, pod="acquisition", service="re-manager"
            )

    def _centre(self, uid: str, stored: StoredRun) -> Gaussian:
        stage = "find the centre"

        def failed(what: str) -> StageFailed:
            return StageFailed(what, stage=stage, host=self._data, pod="data", service="tiled-sink")

        missing = [name for name in (AXIS, DETECTOR, COMPANION) if len(stored.columns.get(name, [])) != POINTS]
        if missing:
            raise failed(f"run {uid} has not {POINTS} values of {', '.join(missing)}")
        try:
            fit = fit_gaussian(_column(stored, AXIS), _column(stored, DETECTOR))
        except NoPeak as error:
            raise failed(f"run {uid}: {error}") from error
        if abs(fit.centre) > CENTRE_TOLERANCE:
            raise failed(f"run {uid}: the fitted centre is {fit.centre:.3f} and should be 0 ± {CENTRE_TOLERANCE}")
        return fit


def _where(status: dict[str, Any]) -> str:
    return f"{status['manager_state']}, worker {status['worker_environment_state']}"


def _column(stored: StoredRun, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(stored.columns[name], dtype=np.float64)
