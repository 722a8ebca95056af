"""The forwarder's producer while a real Kafka hangs: its connections stand, and what is sent lies in them until it goes on."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from document_stack import Stack, docker, make_network, start_kafka, wait_for

from bluefleet.documents.kafka import ensure_topics
from bluefleet.documents.lane import Delivery
from bluefleet.documents.spool_store import Spooled
from bluefleet.documents.topic_run import messages_of

# A second try would hide what is lost once in a while.
pytestmark = [pytest.mark.timeout(300), pytest.mark.flaky(reruns=0)]

#: Longer than a client of Kafka's waits for an answer unless it is told otherwise. Seconds.
HANGS = 65.0


@pytest.fixture
def kafka(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka alone, with its topics."""
    stack = Stack(f"bluefleet-test-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("kafka"))
    make_network(stack.name)
    try:
        start_kafka(stack, images["kafka"])

        def topics() -> bool:
            ensure_topics(stack.internal, retention_bytes=10**8)
            return True

        wait_for(topics, "Kafka's topics")
        yield stack
    finally:
        docker("rm", "--force", "--volumes", *stack.started)
        docker("network", "rm", stack.name)


@contextmanager
def hung(stack: Stack) -> Iterator[None]:
    """Kafka hangs, and goes on by itself."""
    docker("pause", f"{stack.name}-kafka")
    goes_on = threading.Timer(HANGS, docker, ("unpause", f"{stack.name}-kafka"))
    goes_on.start()
    try:
        yield
    finally:
        goes_on.join()


def test_a_kafka_that_hung_for_a_minute_has_every_document_once(kafka: Stack) -> None:
    documents = [Spooled(number, "run", "event", 0.0, b"document %d" % number) for number in range(100)]
    delivery = Delivery(kafka.internal, threading.Event())
    try:
        assert delivery.send(documents[:1], lambda _: None)[1] == ""
        with hung(kafka):
            reports, failure = delivery.send(documents[1:], lambda _: None)
    finally:
        delivery.give_up()
    assert (len(reports), failure) == (99, "")
    held = list(messages_of(kafka.internal, "run"))
    assert [body for _, body in held] == [document.body for document in documents]
    assert [offset for _, offset, _ in reports] == [offset for offset, _ in held[1:]]
