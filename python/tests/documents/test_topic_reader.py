"""Whoever follows a topic hears of a Kafka that is away, and afterwards everything, once. The broker is the library's own."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, Producer
from test_silent_broker import Broker, broker

from bluefleet.documents import closing, topic_reader
from bluefleet.documents.settings import Settings
from bluefleet.documents.topic_reader import TopicReader

__all__ = ["broker"]

TOPIC = "lab.bluesky.documents"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NEW_CLIENT_AFTER", "LONGEST_SILENCE"):
        monkeypatch.setattr(topic_reader, name, 0.5)
    monkeypatch.setattr(closing, "CLOSED_WITHIN", 0.2)


def produce(broker: Broker, *texts: bytes) -> None:
    """Into the topic, which is made with the first."""
    producer = Producer({"bootstrap.servers": broker.address})
    for text in texts:
        producer.produce(TOPIC, value=text, partition=0)
    assert producer.flush(10) == 0


def reader_of(broker: Broker, *, from_beginning: bool = True) -> TopicReader:
    return TopicReader(Settings(kafka_bootstrap=broker.address), TOPIC, from_beginning=from_beginning)


def read(reader: TopicReader, count: int) -> list[bytes | None]:
    """So many messages."""
    found: list[bytes | None] = []
    while len(found) < count:
        message = reader.read()
        if message is not None:
            found.append(message.value())
    return found


def read_in_vain(reader: TopicReader, enough: Callable[[], bool]) -> None:
    while not enough():
        assert reader.read() is None


class Clients:
    """Makes the library's clients; counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *kinds: type[Consumer]) -> None:
        self.kinds, self.made = list(kinds), 0
        monkeypatch.setattr(topic_reader, "Consumer", self)

    def __call__(self, settings: dict[str, Any]) -> Consumer:
        self.made += 1
        return (self.kinds.pop(0) if self.kinds else Consumer)(settings)


class SoonDeaf(Consumer):
    """Hears two messages and never another one, as a client whose broker was away sometimes does."""

    left = 2

    def poll(self, timeout: float = -1) -> Message | None:
        message = super().poll(timeout)
        if message is None or not self.left:
            return None
        self.left -= 1
        return message


def test_a_kafka_that_answers_nothing_is_said_once_and_so_is_its_return(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clients = Clients(monkeypatch)
    produce(broker, b"0", b"1")
    reader = reader_of(broker)
    found = read(reader, 2)
    broker.hang()
    read_in_vain(reader, lambda: clients.made > 2)
    (said,) = caplog.messages
    assert broker.address in said
    assert "waiting for it" in said
    broker.go_on()
    produce(broker, b"2", b"3")
    found += read(reader, 2)
    reader.close()
    assert found == [b"0", b"1", b"2", b"3"]
    assert caplog.messages == [said, f"Kafka at {broker.address} is heard again"]


def test_a_client_that_hears_nothing_of_what_kafka_has_is_given_up_for_one_that_goes_on(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clients = Clients(monkeypatch, SoonDeaf)
    produce(broker, b"0", b"1")
    reader = reader_of(broker)
    found = read(reader, 2)
    produce(broker, b"2", b"3")
    found += read(reader, 2)
    reader.close()
    assert found == [b"0", b"1", b"2", b"3"]
    assert clients.made == 2
    assert "it has more and sends nothing" in caplog.messages[0]


def test_what_came_before_the_first_client_heard_anything_is_not_passed_over(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SoonDeaf, "left", 0)
    Clients(monkeypatch, SoonDeaf)
    produce(broker, b"long ago")
    reader = reader_of(broker, from_beginning=False)
    produce(broker, b"0", b"1")
    assert read(reader, 2) == [b"0", b"1"]
    reader.close()


def test_a_topic_in_which_nothing_comes_is_nothing_to_tell_of(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clients = Clients(monkeypatch)
    produce(broker, b"0")
    reader = reader_of(broker, from_beginning=False)
    asked = 0
    look = reader._look_whether_it_is_over

    def count() -> None:
        nonlocal asked
        asked += 1
        look()

    monkeypatch.setattr(reader, "_look_whether_it_is_over", count)
    read_in_vain(reader, lambda: asked > 2)
    reader.close()
    assert (clients.made, caplog.messages) == (1, [])
