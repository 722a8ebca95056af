"""What is in the topic of dead letters, and what people have done about it.

A letter is never changed. That somebody has seen to it is a message of its own in the same topic, with the letter's
offset in the header `settled` and what was done in `how`: `replayed`, or `dismissed` with a reason. So it is kept where
the letters are, and whoever listens to the topic hears of it.
"""

import logging
import threading
from collections.abc import Iterable
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from bluefleet.documents import codec
from bluefleet.documents.errors import DocumentUnreadable, LetterNotFound, Unavailable
from bluefleet.documents.kafka import DEADLINE, client_settings
from bluefleet.documents.replay_report import Letter
from bluefleet.documents.settings import Settings
from bluefleet.documents.spool_store import Spooled

logger = logging.getLogger(__name__)

SETTLED = "settled"
UNREADABLE = "unreadable"
AGAIN_AFTER = 2.0
#: A list has room for so much of a reason; one letter is shown with all of it.
REASON_LENGTH = 500


class DeadLetterBox(threading.Thread):
    """Reads the topic from its beginning, goes on reading, and knows which letters nobody has seen to."""

    def __init__(self, settings: Settings, stopping: threading.Event) -> None:
        super().__init__(name="dead-letters", daemon=True)
        self._settings = settings
        self._stopping = stopping
        self._guard = threading.Condition()
        self._letters: dict[int, Letter] = {}
        #: The offset up to which the topic was read; -1 until its end was reached once.
        self._reached = -1

    def run(self) -> None:
        """Read until told to stop; after trouble from the beginning."""
        while not self._stopping.is_set():
            try:
                self._read()
            except KafkaException as error:
                logger.debug("dead letters: %s; again in %.0f s", error, AGAIN_AFTER)
            self._stopping.wait(AGAIN_AFTER)

    def waiting(self) -> list[Letter]:
        """Letters that wait, oldest first, all that are there now. Raises Unavailable."""
        consumer = self._consumer()
        try:
            _, end = consumer.get_watermark_offsets(TopicPartition(self._settings.dead_topic, 0), timeout=DEADLINE)
        except KafkaException as error:
            raise Unavailable(f"Kafka at {self._settings.kafka_bootstrap}: {error}") from error
        finally:
            consumer.close()
        with self._guard:
            if not self._guard.wait_for(lambda: self._reached >= end, DEADLINE):
                raise Unavailable(f"{self._settings.dead_topic} is not read to its end yet: try again")
            return sorted(self._letters.values(), key=lambda letter: letter.number)

    def count(self) -> int | None:
        """How many wait; None until the topic was read once."""
        with self._guard:
            return len(self._letters) if self._reached >= 0 else None

    def fetch(self, numbers: Iterable[int]) -> list[tuple[Letter, Spooled]]:
        """Letters in full, each with its bytes. Raises LetterNotFound, Unavailable."""
        consumer = self._consumer()
        try:
            return [self._fetch(consumer, number) for number in numbers]
        except KafkaException as error:
            raise Unavailable(f"Kafka at {self._settings.kafka_bootstrap}: {error}") from error
        finally:
            consumer.close()

    def settle(self, numbers: Iterable[int], how: str, reason: str = "") -> None:
        """Note that these letters were seen to. Raises Unavailable."""
        # Not idempotent, and it need not be: a second note says what the first one did.
        producer = Producer(
            client_settings(self._settings) | {"acks": "all", "message.timeout.ms": int(DEADLINE * 1000)}
        )
        faults: list[KafkaError] = []
        noted = list(numbers)
        for number in noted:
            producer.produce(
                self._settings.dead_topic,
                headers={SETTLED: str(number), "how": how, "reason": reason},
                on_delivery=lambda error, _: faults.append(error) if error else None,
            )
            producer.poll(0)
        if producer.flush(DEADLINE + 1) or faults:
            raise Unavailable(f"{self._settings.dead_topic}: {faults[0] if faults else 'no answer from Kafka'}")
        with self._guard:
            for number in noted:
                self._letters.pop(number, None)

    def _consumer(self) -> Consumer:
        return Consumer(
            client_settings(self._settings)
            | {
                "group.id": "dead-letters",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            }
        )

    def _read(self) -> None:
        consumer = self._consumer()
        try:
            consumer.assign([TopicPartition(self._settings.dead_topic, 0, OFFSET_BEGINNING)])
            with self._guard:
                self._letters.clear()
                self._reached = -1
            while not self._stopping.is_set():
                message = consumer.poll(0.5)
                if message is None:
                    continue
                error = message.error()
                if error is None:
                    self._take(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    self._note_end(message.offset() or 0)
                elif error.fatal() or error.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION}:
                    raise KafkaException(error)
        finally:
            consumer.close()

    def _take(self, message: Message) -> None:
        settled = _headers(message).get(SETTLED)
        with self._guard:
            if settled is None:
                letter = _letter(message)
                letter.reason = letter.reason[:REASON_LENGTH]
                self._letters[letter.number] = letter
            elif settled.isdigit():
                self._letters.pop(int(settled), None)

    def _note_end(self, end: int) -> None:
        with self._guard:
            self._reached = end
            self._guard.notify_all()

    def _fetch(self, consumer: Consumer, number: int) -> tuple[Letter, Spooled]:
        topic = self._settings.dead_topic
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=DEADLINE)
        if not low <= number < high:
            raise LetterNotFound(f"there is no dead letter {number}: {topic} holds {low} to {high - 1}")
        consumer.assign([TopicPartition(topic, 0, number)])
        message = consumer.poll(DEADLINE)
        if message is None:
            raise Unavailable(f"{topic} stays silent at offset {number}")
        error = message.error()
        if error is not None:
            raise KafkaException(error)
        if message.offset() != number or SETTLED in _headers(message):
            raise LetterNotFound(f"{number} in {topic} is no dead letter")
        letter = _letter(message)
        return letter, Spooled(number, letter.run, letter.name, letter.time, message.value() or b"")


def _letter(message: Message) -> Letter:
    headers = _headers(message)
    try:
        name, document = codec.decode(message.value() or b"")
    except DocumentUnreadable:
        name, document = UNREADABLE, {}
    uid: Any = document.get("uid", document.get("datum_id"))
    seq_num: Any = document.get("seq_num")
    offset = headers.get("offset", "")
    return Letter(
        number=message.offset() or 0,
        time=message.timestamp()[1] / 1000,
        sink=headers.get("sink", ""),
        reason=headers.get("reason", ""),
        name=name,
        run=(message.key() or b"").decode(errors="replace"),
        uid=uid if isinstance(uid, str) else "",
        seq_num=seq_num if isinstance(seq_num, int) else None,
        offset=int(offset) if offset.isdigit() else -1,
    )


def _headers(message: Message) -> dict[str, str]:
    return {
        key: value.decode(errors="replace") if isinstance(value, bytes) else value or ""
        for key, value in message.headers() or []
    }
