"""What a client of Kafka does while the broker hangs. The broker is the one that Kafka's client library brings for such tests."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import Producer
from test_consumer import Taking

from bluefleet.documents import codec
from bluefleet.documents.consumer import SinkService
from bluefleet.documents.settings import Settings

BROKER = """
import sys
from confluent_kafka import Producer
producer = Producer({"test.mock.num.brokers": 1})
(broker,) = producer.list_topics(timeout=10).brokers.values()
print(f"{broker.host}:{broker.port}", flush=True)
sys.stdin.read()
"""


@dataclass
class Broker:
    """A broker in a process of its own."""

    address: str
    process: int

    def hang(self) -> None:
        """It takes connections and answers nothing."""
        os.kill(self.process, signal.SIGSTOP)
        # All its threads: the broker is not the first.
        os.waitid(os.P_PID, self.process, os.WSTOPPED)

    def go_on(self) -> None:
        """It answers what came meanwhile."""
        os.kill(self.process, signal.SIGCONT)


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker that answers."""
    command = [sys.executable, "-c", BROKER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        made = Broker(process.stdout.readline().strip(), process.pid)
        yield made
        made.go_on()
        for thread in threading.enumerate():
            if thread.name == "closing":
                thread.join()
        process.kill()


@pytest.fixture
def service(broker: Broker) -> SinkService:
    """A service with two documents before it, not running."""
    settings = Settings(kafka_bootstrap=broker.address).model_copy(update={"status_port": 0})
    producer = Producer({"bootstrap.servers": broker.address})
    for _ in range(2):
        producer.produce(settings.topic, value=codec.encode("start", {"uid": "run"}), key=b"run", partition=0)
    assert producer.flush(10) == 0
    return SinkService(Taking(), settings, "taking")  # pyright: ignore[reportArgumentType] - what of it is used


def test_a_client_whose_commit_is_not_answered_is_left_behind(
    broker: Broker, service: SinkService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bluefleet.documents.closing.CLOSED_WITHIN", 0.2)

    def one_batch(consumer: Any) -> None:
        messages = consumer.consume(2, timeout=30)
        assert len(messages) == 2
        service._handle(messages)
        broker.hang()
        service._commit(consumer)
        service.stop()

    monkeypatch.setattr(service, "_consume", one_batch)
    service.run()
    left = [thread for thread in threading.enumerate() if thread.name == "closing"]
    assert left, "the commit was answered: this proves nothing"
    assert all(thread.daemon for thread in left), "the process could not end"
