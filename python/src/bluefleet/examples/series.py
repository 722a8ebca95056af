"""One series of example runs: queue them, wait for each, read each back, leave the queue as it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from bluefleet.examples.plans import Example, examples_for, velocity_of
from bluefleet.first_scan import StageFailed
from bluefleet.first_scan.queue import Outcome, Queue
from bluefleet.first_scan.runs import Runs
from bluefleet.model import Site

POLL = 0.5
# Marks our items: in the queue, and in the start documents of their runs.
MARK = "bluefleet_example"

PLAN_DEADLINE = 300.0
STORED_DEADLINE = 60.0
# Longer than what the queue says is old, and than it takes to begin the next plan.
STOPPED_AFTER = 5.0

# Told what is going on: the stage, how many plans are done of how many, and how far the stage is.
Progress = Callable[[str, int, int, str], None]


class QueueBusy(Exception):
    """The queue is somebody's: nothing was done."""


@dataclass(frozen=True)
class ExampleRun:
    """A run as it was read back."""

    example: Example
    uid: str
    scan_id: int
    points: int


class Examples:
    """One series on one site.

    :param queue: with this module's ``MARK``
    :param events: how many events of the run that is open are spooled; nothing when that can't be told
    :param hosts: names of the hosts of the acquisition and of the data pod, for what goes wrong
    :param keep_open: leave the environment open also where it was opened for this
    """

    def __init__(
        self,
        queue: Queue,
        runs: Runs,
        events: Callable[[], int | None],
        hosts: tuple[str, str],
        site: Site,
        *,
        keep_open: bool = False,
    ) -> None:
        self._queue = queue
        self._runs = runs
        self._events = events
        self._acquisition, self._data = hosts
        self._site = site
        self._keep_open = keep_open

    def run(self, progress: Progress) -> list[ExampleRun]:
        """Make them. Raises QueueBusy, or StageFailed naming stage, host and log.

        However it ends, the queue is as it was; where it can't be made so, a note of the exception says why.
        """
        progress("wait for the queue", 0, 0, "")
        self._queue.wait_until_it_answers()
        self._refuse_busy()
        if not self._queue.remove_left():
            raise QueueBusy("other examples are at work in the queue")
        opens = not self._queue.status()["worker_environment_exists"]
        with self._as_it_was(opens and not self._keep_open, progress):
            self._queue.open_environment(lambda _: progress("open the environment", 0, 0, ""))
            return self._made(progress)

    @contextmanager
    def _as_it_was(self, closes: bool, progress: Progress) -> Generator[None]:
        try:
            yield
        except BaseException as error:
            self._take_back(error, closes, _as_far_as_it_goes(progress))
            raise
        self._close(closes, progress)

    def _take_back(self, error: BaseException, closes: bool, progress: Progress) -> None:
        """What is left to be known of it are notes of the error."""
        try:
            progress("take back what is queued", 0, 0, "")
            self._queue.end_ours()
            self._close(closes, progress)
            if waiting := self._queue.kept_waiting():
                # Not started for them: what ended this may be their trouble too.
                names = ", ".join(sorted({str(item["name"]) for item in waiting}))
                error.add_note(f"its plans are out of the queue; others' wait in it for queue/start: {names}")
        except StageFailed as left:
            error.add_note(f"not all was taken back: {left.stage}: {left.what}")
        except KeyboardInterrupt as again:
            again.add_note("not all was taken back: interrupted again")
            raise

    def _refuse_busy(self) -> None:
        contents = self._queue.contents()
        if contents.running:
            raise QueueBusy(f"the queue runs {contents.running['name']}")
        if contents.others:
            names = ", ".join(sorted({str(item["name"]) for item in contents.others}))
            raise QueueBusy(f"{len(contents.others)} of somebody's wait in the queue: {names}")

    def _made(self, progress: Progress) -> list[ExampleRun]:
        devices = self._queue.devices()
        examples = examples_for(self._site, self._queue.plans(), devices)
        if not examples:
            what = "the queue allows none of the plans, or has none of the devices, that examples use"
            raise self._failed(what, "choose examples")
        if quick := velocity_of(self._site, devices):
            self._must_complete("mv", self._queue.run_now(quick, 60, lambda _: None))
        queued = [(example, self._queue.add(example.plan)) for example in examples]
        if not self._queue.status().get("queue_autostart_enabled"):
            self._queue.start("start the queue")
        outcomes: list[tuple[Example, Outcome]] = []
        for done, (example, item) in enumerate(queued):
            stage = f"run {example.name}"
            outcome = self._ended(item, stage, lambda how, what=stage, n=done: progress(what, n, len(queued), how))
            self._must_complete(example.name, outcome)
            outcomes.append((example, outcome))
        return self._read_back(outcomes, lambda how: progress("read back", len(queued), len(queued), how))

    def _ended(self, item: str, stage: str, tell: Callable[[str], None]) -> Outcome:
        """Wait for one plan; who pauses it may resume it."""
        end, seen = time.monotonic() + PLAN_DEADLINE, time.monotonic()
        history = ""
        while True:
            status = self._queue.status()
            # Long where much was measured, and given as a whole only.
            if status["plan_history_uid"] != history:
                history = status["plan_history_uid"]
                if outcome := self._queue.ended(item, stage):
                    return outcome
            now = time.monotonic()
            if status["manager_state"] != "idle":
                seen = now
            elif now - seen > STOPPED_AFTER:
                raise self._failed("somebody stopped the queue before it", stage)
            if now > end:
                raise self._failed(f"not finished after {PLAN_DEADLINE:g} s", stage)
            events = self._events()
            tell("paused" if status["re_state"] == "paused" else f"{events} events" if events else "")
            time.sleep(POLL)

    def _must_complete(self, plan: str, outcome: Outcome) -> None:
        if outcome.exit_status != "completed":
            lines = outcome.message.strip().splitlines() or [f"the plan ended {outcome.exit_status}"]
            raise self._failed(lines[-1], f"run {plan}")

    def _read_back(self, outcomes: list[tuple[Example, Outcome]], tell: Callable[[str], None]) -> list[ExampleRun]:
        found: list[ExampleRun] = []
        for example, outcome in outcomes:
            tell(example.name)
            for uid in outcome.run_uids:
                stored = self._runs.wait_for(
                    uid, STORED_DEADLINE, lambda how, name=example.name: tell(f"{name}, {how}")
                )
                points = len(stored.columns["seq_num"])
                emitted = stored.stop["num_events"].get("primary", 0)
                if points != emitted:
                    what = f"run {uid} has {points} of its {emitted} events"
                    raise StageFailed(what, stage="read back", host=self._data, pod="data", service="tiled-sink")
                found.append(ExampleRun(example, uid, stored.start["scan_id"], points))
        return found

    def _close(self, closes: bool, progress: Progress) -> None:
        """Not under somebody who has come meanwhile."""
        if not closes:
            return
        contents = self._queue.contents()
        if not contents.running and not contents.alike and not contents.others:
            self._queue.close_environment(lambda _: progress("close the environment", 0, 0, ""))

    def _failed(self, what: str, stage: str) -> StageFailed:
        return StageFailed(what, stage=stage, host=self._acquisition, pod="acquisition", service="re-manager")


def _as_far_as_it_goes(progress: Progress) -> Progress:
    """Where the terminal is gone nothing is told, and all the rest is done; rich would end the command with SystemExit."""

    def told(stage: str, done: int, total: int, how: str) -> None:
        with suppress(OSError, SystemExit):
            progress(stage, done, total, how)

    return told
