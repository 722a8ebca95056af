"""What Kafka holds of a run, read from the topic itself."""

import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

from bluefleet.documents import codec
from bluefleet.documents.digest import Digester
from bluefleet.documents.errors import DocumentUnreadable, RunNotFound, Unavailable
from bluefleet.documents.kafka import DEADLINE, client_settings
from bluefleet.documents.run_digest import RunDigest
from bluefleet.documents.settings import Settings

#: Longest time without anything from the topic.
SILENCE = 15.0


def topic_digest(settings: Settings, run: str, *, first: int | None, last: int | None) -> RunDigest:
    """Sum up the run's documents between two offsets, or in the whole topic. Raises RunNotFound, Unavailable."""
    consumer = Consumer(
        client_settings(settings)
        | {
            "group.id": "verify",
            "enable.auto.commit": False,
            "enable.partition.eof": False,
            "auto.offset.reset": "earliest",
        }
    )
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(settings.topic, 0), timeout=DEADLINE)
        begin = low if first is None else max(low, first)
        end = high if last is None else min(high, last + 1)
        consumer.assign([TopicPartition(settings.topic, 0, begin)])
        digester = Digester(run)
        count = _read(consumer, digester, run.encode(), begin, end)
    except KafkaException as error:
        raise Unavailable(f"Kafka at {settings.kafka_bootstrap}: {error}") from error
    finally:
        consumer.close()
    if not count:
        raise RunNotFound(f"no run {run} in topic {settings.topic}")
    found = digester.finish()
    if found.start is None:
        raise RunNotFound(f"the beginning of run {run} has left topic {settings.topic}, which is limited in size")
    return found


def _read(consumer: Consumer, digester: Digester, key: bytes, begin: int, end: int) -> int:
    count = 0
    position = begin
    deadline = time.monotonic() + SILENCE
    while position < end:
        messages = consumer.consume(1000, timeout=0.5)
        if time.monotonic() > deadline:
            raise Unavailable(f"the topic stays silent at offset {position} of {end}")
        for message in messages:
            if message.error() is not None:
                continue
            position = (message.offset() or 0) + 1
            deadline = time.monotonic() + SILENCE
            if message.key() == key and position <= end:
                _add(digester, message.value() or b"")
                count += 1
    return count


def _add(digester: Digester, body: bytes) -> None:
    try:
        digester.add(*codec.decode(body))
    except DocumentUnreadable:
        # Somebody else's bytes under our key: the comparison will show what is missing.
        return
