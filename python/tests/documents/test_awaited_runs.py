"""Which runs are waited for."""

from bluefleet.documents.awaited_runs import SILENT, SILENT_AGAIN, AwaitedRuns
from bluefleet.documents.consumer import Received


def hear(runs: AwaitedRuns, *names: str, run: str = "r", again: bool = True, at: float = 1000.0) -> None:
    for name in names:
        runs.heard(Received(0, run, name, {}, again=again, heard_at=at))


def test_a_run_that_is_sent_again_is_let_go_of_soon_and_named() -> None:
    runs = AwaitedRuns()
    hear(runs, "start", "descriptor")
    hear(runs, "event", at=1100.0)
    assert runs.silent(1100.0 + SILENT_AGAIN) == []
    assert runs.problems() == []
    assert runs.silent(1100.0 + SILENT_AGAIN + 1) == ["r"]
    (problem,) = runs.problems()
    assert "run r was sent again and broken off: `bluefleet documents replay r`" in problem
    # Half of a run is as before, all of it is well.
    hear(runs, "event", "stop")
    runs.ended("r")
    assert runs.problems() == [problem]
    hear(runs, "start", "event", "stop")
    runs.ended("r")
    assert runs.problems() == []


def test_a_run_that_is_measured_may_pause_for_days_also_when_it_is_sent_again_meanwhile() -> None:
    runs = AwaitedRuns()
    hear(runs, "start", "event", again=False)
    hear(runs, "start", "event")
    assert runs.silent(1000.0 + SILENT) == []
    assert runs.silent(1000.0 + SILENT + 1) == ["r"]
    assert runs.problems() == []


def test_a_letter_that_is_sent_again_is_not_waited_for_and_says_nothing() -> None:
    runs = AwaitedRuns()
    hear(runs, "event")
    assert runs.silent(1000.0 + SILENT_AGAIN + 1) == ["r"]
    assert runs.problems() == []


def test_a_run_that_has_ended_or_was_refused_is_not_waited_for() -> None:
    runs = AwaitedRuns()
    for run in ("ended", "refused"):
        hear(runs, "start", run=run)
    runs.ended("ended")
    runs.forget("refused")
    assert runs.silent(1000.0 + SILENT + 1) == []


def test_a_second_copy_of_a_start_whose_run_has_ended_is_not_waited_for_long_and_says_nothing() -> None:
    runs = AwaitedRuns()
    hear(runs, "start", again=False)
    runs.had_ended("r")
    hear(runs, "descriptor", again=False)
    assert runs.silent(1000.0 + SILENT_AGAIN) == []
    assert runs.silent(1000.0 + SILENT_AGAIN + 1) == ["r"]
    assert runs.problems() == []
