"""What the first scan does: open the environment, scan the pinhole, read the run back, find its centre.

Where there is no simulated pinhole, what else is simulated is read, and its run read back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bluefleet.first_scan.errors import StageFailed
from bluefleet.first_scan.gaussian import Gaussian, NoPeak, fit_gaussian
from bluefleet.first_scan.queue import Outcome, Queue
from bluefleet.first_scan.runs import Runs, StoredRun
from bluefleet.first_scan.subject import Pinhole, Readings

START, END, POINTS = -15, 15, 31
# mini_beamline's axis does 1 per second after a start, which would make this a minute's scan.
VELOCITY = 10
# mini_beamline's pinhole is at 0 with a width of 5; beam current and counting noise move the fit by 0.1.
CENTRE_TOLERANCE = 0.5
READINGS = 3

SCAN_DEADLINE = 300.0
STORED_DEADLINE = 60.0

# Told what is going on: the stage, and how many of how many events are there (nothing when that has no meaning).
Progress = Callable[[str, int | None], None]


@dataclass(frozen=True)
class ScanResult:
    """The run as it was read back, and what was found in it: nothing, of plain readings."""

    uid: str
    run: StoredRun
    fit: Gaussian | None = None


class FirstScan:
    """One first scan on one site.

    :param events: how many events of a run are spooled, for the progress bar; nothing when that can't be told
    :param hosts: names of the hosts of the acquisition and of the data pod, for what goes wrong
    :param subject: what it looks at
    """

    def __init__(
        self,
        queue: Queue,
        runs: Runs,
        events: Callable[[], int | None],
        hosts: tuple[str, str],
        subject: Pinhole | Readings,
    ) -> None:
        self._subject = subject
        self._queue = queue
        self._runs = runs
        self._events = events
        self._acquisition, self._data = hosts

    def run(self, progress: Progress) -> ScanResult:
        """Do it. Raises StageFailed naming stage, host and log."""
        progress("wait for the queue", None)
        self._queue.wait_until_it_answers()
        self._queue.open_environment(lambda status: progress(f"open the environment ({_where(status)})", None))
        if isinstance(self._subject, Readings):
            return self._read(self._subject, progress)
        return self._scan(self._subject, progress)

    def _scan(self, pinhole: Pinhole, progress: Progress) -> ScanResult:
        axis = pinhole.axis
        self._queue.refuse_missing({axis, *pinhole.detectors})
        set_velocity = {"name": "mv", "args": [f"{axis}.velocity", VELOCITY]}
        self._must_complete(
            "mv", self._queue.run_now(set_velocity, 60, lambda _: progress(f"set the velocity of {axis}", None))
        )
        plan = {"name": "scan", "args": [pinhole.detectors, axis, START, END, POINTS]}
        uid, stored = self._run(plan, f"scan {axis}", POINTS, progress)
        return ScanResult(uid, stored, self._centre(uid, stored, pinhole))

    def _read(self, readings: Readings, progress: Progress) -> ScanResult:
        self._queue.refuse_missing(set(readings.devices))
        plan = {"name": "count", "args": [list(readings.devices)], "kwargs": {"num": READINGS}}
        uid, stored = self._run(plan, f"read {', '.join(readings.devices)}", READINGS, progress)
        self._must_have(uid, stored, ["seq_num"], READINGS, "look at the readings")
        return ScanResult(uid, stored)

    def _run(self, plan: dict[str, Any], stage: str, points: int, progress: Progress) -> tuple[str, StoredRun]:
        """Queue the plan, and read its run back."""
        outcome = self._queue.run_queued(plan, SCAN_DEADLINE, lambda _: progress(stage, self._events()))
        self._must_complete(plan["name"], outcome)
        progress(stage, points)
        uid = outcome.run_uids[0]
        return uid, self._runs.wait_for(
            uid, STORED_DEADLINE, lambda how: progress(f"read the run back ({how})", points)
        )

    def _must_complete(self, plan: str, outcome: Outcome) -> None:
        if outcome.exit_status != "completed":
            lines = outcome.message.strip().splitlines() or [f"the plan ended {outcome.exit_status}"]
            raise StageFailed(
                lines[-1], stage=f"run {plan}", host=self._acquisition, pod="acquisition", service="re-manager"
            )

    def _must_have(self, uid: str, stored: StoredRun, names: list[str], points: int, stage: str) -> None:
        missing = [name for name in names if len(stored.columns.get(name, [])) != points]
        if missing:
            raise self._not_stored(f"run {uid} has not {points} values of {', '.join(missing)}", stage)

    def _centre(self, uid: str, stored: StoredRun, pinhole: Pinhole) -> Gaussian:
        stage = "find the centre"
        self._must_have(uid, stored, [pinhole.axis, *pinhole.detectors], POINTS, stage)
        try:
            fit = fit_gaussian(_column(stored, pinhole.axis), _column(stored, pinhole.detector))
        except NoPeak as error:
            raise self._not_stored(f"run {uid}: {error}", stage) from error
        if abs(fit.centre) > CENTRE_TOLERANCE:
            what = f"run {uid}: the fitted centre is {fit.centre:.3f} and should be 0 ± {CENTRE_TOLERANCE}"
            raise self._not_stored(what, stage)
        return fit

    def _not_stored(self, what: str, stage: str) -> StageFailed:
        return StageFailed(what, stage=stage, host=self._data, pod="data", service="tiled-sink")


def _where(status: dict[str, Any]) -> str:
    return f"{status['manager_state']}, worker {status['worker_environment_state']}"


def _column(stored: StoredRun, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(stored.columns[name], dtype=np.float64)
