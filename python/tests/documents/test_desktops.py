"""What is said of a desktop's forwarder, from what it told last and how long ago."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError

from bluefleet.documents.desktop_status import SILENT_AFTER, DesktopStatus, Told, desktops_of
from bluefleet.documents.desktops import Herald
from bluefleet.documents.settings import Settings

LONG = SILENT_AFTER + 1


@pytest.mark.parametrize(
    ("told", "waiting", "reason"),
    [
        ({"waiting": 0}, 0, ""),
        ({"waiting": 7, "oldest_age": 2.0}, 7, ""),
        ({"waiting": 7, "problems": ["ada/ada: Kafka at x: gone"]}, 7, "ada/ada: Kafka at x: gone"),
        ({"waiting": 7, "silent_for": LONG}, None, "has told nothing for 61 s; 7 documents waited"),
        # Switched off in the evening, with nothing left to send; and with something.
        ({"waiting": 0, "silent_for": LONG, "ended": True}, 0, ""),
        ({"waiting": 7, "silent_for": LONG, "ended": True}, 7, "it was stopped while 7 documents waited there"),
        ({"waiting": None, "ended": True}, None, "stopped while nobody knows how many documents waited"),
        ({"waiting": None, "silent_for": None}, None, "never told how it is"),
    ],
    ids=["well", "waits", "trouble", "silent", "off", "off with documents", "off with a broken spool", "never"],
)
def test_what_a_desktop_told_means(told: dict, waiting: int | None, reason: str) -> None:
    status = DesktopStatus.model_validate(told)
    assert status.known_waiting == waiting
    assert bool(status.reason) == bool(reason)
    assert reason in status.reason


def test_a_forwarder_tells_of_all_its_spools() -> None:
    writers = {"ada/ada": {"backlog": 3, "oldest_age": 4.0}, "bob/bob": {"backlog": 2, "oldest_age": 9.0}}
    told = Told.of_forwarder({"writers": writers, "problems": ["x"]}, ended=False)
    assert told == Told(waiting=5, oldest_age=9.0, problems=["x"])
    unreadable = {"ada/ada": {"backlog": None}, "bob/bob": {"backlog": 2}}
    assert Told.of_forwarder({"writers": unreadable, "problems": []}, ended=False).waiting is None
    assert Told.of_forwarder({"writers": {}, "problems": []}, ended=True) == Told(waiting=0, ended=True)


def test_a_forwarder_that_cannot_say_how_it_is_tells_that() -> None:
    def status() -> dict:
        raise OSError("no disk")

    told: list[Told] = []
    herald = Herald(Settings(), "office", status)
    producer = SimpleNamespace(
        produce=lambda _, value, **__: told.append(Told.model_validate_json(value)), poll=lambda _: None
    )
    herald._tell(producer)  # pyright: ignore[reportArgumentType] - as much of a producer as is used
    assert told == [Told(waiting=None, problems=["it can't say how it is: OSError('no disk')"])]


def test_what_nobody_heard_is_told_by_a_new_producer(monkeypatch: pytest.MonkeyPatch) -> None:
    told_by: list[int] = []
    made: list[object] = []

    class Deaf:
        """The first one's broker never answers."""

        def __init__(self, _: dict) -> None:
            made.append(self)
            self.number = len(made)
            self.reports: list[Callable] = []

        def produce(self, _: str, on_delivery: Callable, **__: object) -> None:
            told_by.append(self.number)
            self.reports.append(on_delivery)
            if len(told_by) == 4:
                herald._ended.set()

        def poll(self, _: float) -> None:
            error = KafkaError(KafkaError._MSG_TIMED_OUT) if self.number == 1 else None
            while len(self.reports) > 1:
                self.reports.pop(0)(error, None)

        def flush(self, _: float) -> None: ...

    monkeypatch.setattr("bluefleet.documents.desktops.Producer", Deaf)
    monkeypatch.setattr("bluefleet.documents.desktops.TELL_EVERY", 0.0)
    herald = Herald(Settings(), "office", lambda: {"writers": {}, "problems": []})
    herald.run()
    # The second one goes on, as it is heard.
    assert told_by == [1, 1, 2, 2, 2]


def test_only_desktops_of_the_site_are_spoken_of_and_one_that_never_told_is() -> None:
    heard = {"office": {"waiting": 2, "silent_for": 1.0}, "taken-out": {"waiting": 5, "silent_for": 9999.0}}
    found = desktops_of({"desktops": heard}, ["office", "new"])
    assert {name: status.known_waiting for name, status in found.items()} == {"office": 2, "new": None}
    # While Kafka is away from the forwarder it hears nobody, and says that instead.
    assert desktops_of({"desktops": None}, ["office"]) == {}
