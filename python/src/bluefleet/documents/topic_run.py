"""The documents of one run as Kafka's topic holds them."""

import contextlib
import time
from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaException, TopicPartition

from bluefleet.documents import codec
from bluefleet.documents.errors import DocumentUnreadable, RunNotFound, Unavailable
from bluefleet.documents.kafka import DEADLINE, client_settings
from bluefleet.documents.named_runs import NamedRun
from bluefleet.documents.settings import Settings
from bluefleet.documents.spool_store import Spooled

#: Longest time without anything from the topic.
SILENCE = 15.0
#: By how much the clocks of who took a run and who delivered it may differ, in seconds.
CLOCKS_DIFFER = 3600.0


def messages_of(
    settings: Settings,
    run: str | None,
    *,
    first: int | None = None,
    last: int | None = None,
    since: float | None = None,
) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of what has the run's key, or of everything, between two offsets, or in the whole topic as it is now.

    `since`, in epoch seconds, may stand for `first`: what was delivered before is passed over. Raises Unavailable.
    """
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
        if first is None and since is not None:
            first = _delivered_since(consumer, settings.topic, since)
        begin = low if first is None else max(low, first)
        end = high if last is None else min(high, last + 1)
        consumer.assign([TopicPartition(settings.topic, 0, begin)])
        yield from _read(consumer, None if run is None else run.encode(), begin, end)
    except KafkaException as error:
        raise Unavailable(f"Kafka at {settings.kafka_bootstrap}: {error}") from error
    finally:
        consumer.close()


def documents_in_topic(settings: Settings, run: str) -> Iterator[Spooled]:
    """A run's documents from its start to its first stop, `seq` being the offset, `time` nothing.

    Raises RunNotFound, Unavailable.
    """
    begun = False
    for offset, body in messages_of(settings, run):
        try:
            name, _ = codec.decode(body)
        except DocumentUnreadable:
            # Somebody else's bytes under our key.
            continue
        if not begun and name != "start":
            raise RunNotFound(f"the beginning of run {run} has left topic {settings.topic}, which is limited in size")
        begun = True
        yield Spooled(offset, run, name, 0.0, body)
        if name == "stop":
            return
    if not begun:
        raise RunNotFound(f"no run {run} in topic {settings.topic}")


def starts_in_topic(settings: Settings, *, first: int) -> Iterator[NamedRun]:
    """Runs whose start lies at that offset or behind it. Raises Unavailable."""
    for _, body in messages_of(settings, None, first=first):
        with contextlib.suppress(DocumentUnreadable, LookupError, TypeError, ValueError):
            # Anybody's bytes: what can't name a run names none.
            name, document = codec.decode(body)
            if name == "start":
                yield NamedRun.of_start(document)


def _delivered_since(consumer: Consumer, topic: str, since: float) -> int | None:
    """The offset of the first message from then on; None when Kafka knows of none."""
    at = TopicPartition(topic, 0, int((since - CLOCKS_DIFFER) * 1000))
    (found,) = consumer.offsets_for_times([at], timeout=DEADLINE)
    return found.offset if found.offset >= 0 else None


def _read(consumer: Consumer, key: bytes | None, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    position = begin
    deadline = time.monotonic() + SILENCE
    while position < end:
        messages = consumer.consume(1000, timeout=0.5)
        if not messages and time.monotonic() > deadline:
            raise Unavailable(f"the topic stays silent at offset {position} of {end}")
        for message in messages:
            if message.error() is not None:
                continue
            offset = message.offset() or 0
            position = offset + 1
            if key in {None, message.key()} and offset < end:
                yield offset, message.value() or b""
            # Whoever takes them may take his time.
            deadline = time.monotonic() + SILENCE
