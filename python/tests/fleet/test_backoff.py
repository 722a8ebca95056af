"""When the fleet service tries again, and when it gives up: with a clock that the test holds."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bluefleet.fleet import Backoff, State, Trouble
from bluefleet.fleet._troubles import forget, remember, troubles

BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NEW = Trouble(node="node1", instance="cam1", spec="abc", reason="its health check fails")


def after(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def lived(backoff: Backoff, seconds: int) -> tuple[list[int], int | None]:
    """When it was tried, and given up, if it is looked at each second and never gets well."""
    trouble, tried = NEW, list[int]()
    for second in range(seconds):
        verdict = backoff.verdict(trouble, after(second))
        if verdict == "try":
            tried.append(second)
            trouble = trouble.model_copy(update={"tries": trouble.tries + 1, "tried": after(second)})
        elif verdict == "give up":
            return tried, second
    return tried, None


def test_pauses_double_and_the_last_try_has_its_pause_too() -> None:
    assert lived(Backoff(first=10, most=300, tries=5), 1000) == ([0, 10, 30, 70, 150], 310)


def test_no_pause_is_longer_than_the_longest() -> None:
    assert lived(Backoff(first=10, most=25, tries=5), 1000) == ([0, 10, 30, 55, 80], 105)


def test_a_thousand_tries_do_not_overflow() -> None:
    many = NEW.model_copy(update={"tries": 5000, "tried": BEGIN})
    assert Backoff(most=300).due(many) == after(300)


def test_what_was_given_up_is_not_tried_again_however_long_it_lasts() -> None:
    over = NEW.model_copy(update={"tries": 5, "tried": BEGIN, "gave_up": after(310)})
    assert Backoff().verdict(over, after(10**8)) == "given up"
    assert "gave up since 2026-03-01 12:05 UTC, after 5 tries; `bluefleet start node1/cam1`" in over.words


def test_what_is_well_for_long_is_forgotten_and_what_fails_before_that_goes_on_counting() -> None:
    backoff = Backoff(steady=600)
    tried = NEW.model_copy(update={"tries": 3, "tried": BEGIN})
    well = backoff.well(tried, after(100))
    assert well is not None
    assert backoff.well(well, after(699)) == well
    assert backoff.well(well, after(700)) is None

    again = backoff.sick(well, "it is exited")
    assert (again.tries, again.well_since, again.reason) == (3, None, "it is exited")
    # It has to be well for the whole time anew.
    assert backoff.well(again, after(701)) == again.model_copy(update={"well_since": after(701)})


def test_troubles_outlive_the_process_and_names_are_compared_whole(tmp_path: Path) -> None:
    state = State(tmp_path / "state.sqlite")
    forget(state, "node1", ["cam1"])
    assert not state.file.exists()
    tried = NEW.model_copy(update={"tries": 2, "tried": BEGIN})
    other = NEW.model_copy(update={"instance": "cam10"})
    elsewhere = NEW.model_copy(update={"node": "node10"})
    remember(state, [NEW, other, elsewhere])
    remember(state, [tried])
    assert troubles(State(state.file), "node1") == {("node1", "cam1"): tried, ("node1", "cam10"): other}
    forget(state, "node1", ["cam1", "cam2"])
    assert set(troubles(state)) == {("node1", "cam10"), ("node10", "cam1")}


@pytest.mark.parametrize("tries", [1, 2, 7])
def test_it_is_tried_exactly_so_often(tries: int) -> None:
    tried, given_up = lived(Backoff(first=1, most=5, tries=tries), 500)
    assert (len(tried), given_up is None) == (tries, False)
