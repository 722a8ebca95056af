"""Waiting for the other side."""

import threading

import pytest

from bluefleet.documents import patience as module
from bluefleet.documents.errors import Poison, Refusing, Stopping, Unavailable
from bluefleet.documents.patience import Patience


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.002)


class Flaky:
    """Fails so many times."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left, self.error, self.calls = times, error, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.left:
            raise self.error
        return "done"


def test_a_database_that_is_away_is_waited_for_however_long() -> None:
    patience = Patience(threading.Event())
    action = Flaky(100, Unavailable("Mongo is away"))
    assert patience.until_available(action) == "done"
    assert action.calls == 101
    assert patience.trouble == ""


def test_a_server_that_answers_and_refuses_makes_the_document_poison() -> None:
    action = Flaky(100, Refusing("no"))
    with pytest.raises(Poison, match="no"):
        Patience(threading.Event()).until_available(action, lambda: None)
    assert action.calls == module.REFUSALS + 1


def test_a_server_that_refuses_everything_is_waited_for() -> None:
    action = Flaky(100, Refusing("no space left"))
    probe = Flaky(90, Refusing("no space left"))
    assert Patience(threading.Event()).until_available(Flaky(20, Refusing("no")), probe) == "done"
    assert Patience(threading.Event()).until_available(action) == "done"


def test_a_server_that_refuses_for_a_moment_does_not() -> None:
    assert Patience(threading.Event()).until_available(Flaky(2, Refusing("starting"))) == "done"


def test_a_stop_ends_the_wait_and_trouble_says_what_for() -> None:
    stopping = threading.Event()
    patience = Patience(stopping)

    def action() -> None:
        stopping.set()
        raise Unavailable("Mongo is away")

    with pytest.raises(Stopping, match="Mongo is away"):
        patience.until_available(action)
