"""Reads a topic on and on, keeping no position in Kafka; a client that hears nothing while it should is given up for a new one."""

import logging
import time
import uuid

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from bluefleet.documents.access import LISTENERS
from bluefleet.documents.closing import let_go_of
from bluefleet.documents.errors import Unavailable
from bluefleet.documents.kafka import ANSWER_WITHIN, DEADLINE, NEW_CLIENT_AFTER, client_settings
from bluefleet.documents.settings import Settings

logger = logging.getLogger(__name__)

POLL = 0.2
#: Each client that hears nothing has twice the time of the one before, up to so many seconds: over a slow line a large
#: document, and an answer behind it, takes longer than NEW_CLIENT_AFTER.
LONGEST_SILENCE = 60.0


class TopicReader:
    """A place in a topic of one partition. That Kafka is away, and that it is back, is logged, each once."""

    def __init__(self, settings: Settings, topic: str, *, from_beginning: bool) -> None:
        """Begin at an end of the topic. Raises Unavailable without Kafka or without the topic."""
        self._settings = settings
        self._topic = topic
        self._silent = 0.0
        self._may_be_silent = NEW_CLIENT_AFTER
        self._trouble = ""
        self._consumer = self._client()
        try:
            low, self._end = self._ends()
        except Unavailable:
            self.close()
            raise
        self._next = low if from_beginning else self._end
        self._go_on_from_there()

    def read(self) -> Message | None:
        """The next message, or None when none comes for a moment."""
        begun = time.monotonic()
        message = self._consumer.poll(POLL)
        error = message.error() if message is not None else None
        if message is not None and error is None:
            self._next = (message.offset() or 0) + 1
            self._is_well()
            return message
        if error is not None:
            self._is_in_trouble(error.str())
        # Only what was waited here: whoever takes the messages may take his time.
        self._silent += time.monotonic() - begun
        if self._silent > self._may_be_silent:
            self._look_whether_it_is_over()
        return None

    def close(self) -> None:
        """Let go, whether Kafka answers or not."""
        let_go_of(self._consumer)

    def _client(self) -> Consumer:
        return Consumer(
            client_settings(self._settings)
            # A group of its own is never used to keep a position; the name must be there all the same.
            | {"group.id": f"{LISTENERS}{uuid.uuid4()}", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        )

    def _ends(self) -> tuple[int, int]:
        where = self._settings.kafka_bootstrap
        try:
            topics = self._consumer.list_topics(timeout=DEADLINE).topics
            if self._topic not in topics:
                raise Unavailable(f"Kafka at {where} has no topic {self._topic} that this user may read")
            return self._consumer.get_watermark_offsets(TopicPartition(self._topic, 0), timeout=DEADLINE)
        except KafkaException as error:
            raise Unavailable(
                f"Kafka at {where}: {error.args[0].str()}; address, CA file and password right?"
            ) from error

    def _go_on_from_there(self) -> None:
        self._consumer.assign([TopicPartition(self._topic, 0, self._next)])
        self._silent = 0.0

    def _look_whether_it_is_over(self) -> None:
        """Silence is well where Kafka has nothing more. What it had at the last look already should have come by now."""
        expected = self._end
        try:
            _, self._end = self._consumer.get_watermark_offsets(TopicPartition(self._topic, 0), timeout=ANSWER_WITHIN)
        except KafkaException as error:
            self._is_in_trouble(error.args[0].str())
        else:
            if expected <= self._next:
                self._is_well()
                return
            self._is_in_trouble("it has more and sends nothing")
        self.close()
        self._consumer = self._client()
        self._may_be_silent = min(LONGEST_SILENCE, 2 * self._may_be_silent)
        self._go_on_from_there()

    def _is_in_trouble(self, why: str) -> None:
        if not self._trouble:
            logger.warning("Kafka at %s: %s; waiting for it", self._settings.kafka_bootstrap, why)
        self._trouble = why

    def _is_well(self) -> None:
        self._silent = 0.0
        self._may_be_silent = NEW_CLIENT_AFTER
        if self._trouble:
            logger.warning("Kafka at %s is heard again", self._settings.kafka_bootstrap)
        self._trouble = ""
