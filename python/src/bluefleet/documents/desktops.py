"""How the forwarders of desktops are. Nobody reaches a desktop to ask, so each tells, in a topic beside the documents;
the forwarder of the pod listens, and passes it on to whoever asks how the document path is.

A desktop that says goodbye is off, and well when nothing waited. One that falls silent is not: perhaps somebody
measures there, and no document comes.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from pydantic import ValidationError

from bluefleet.documents.desktop_status import DesktopStatus, Told
from bluefleet.documents.kafka import client_settings
from bluefleet.documents.settings import Settings

logger = logging.getLogger(__name__)

TELL_EVERY = 10.0
ASK_EVERY = 5.0
#: What was told is of no interest once the next is due; a goodbye has so long.
WITHIN = 5.0
AGAIN_AFTER = 2.0


class Herald(threading.Thread):
    """On a desktop: tells how its forwarder is, every few seconds and when it ends."""

    def __init__(self, settings: Settings, desktop: str, status: Callable[[], Mapping[str, Any]]) -> None:
        super().__init__(name="herald", daemon=True)
        self._settings = settings
        self._desktop = desktop
        self._status = status
        self._ended = threading.Event()
        #: Whether the producer in use could not tell something.
        self._unheard = False

    def run(self) -> None:
        """Tell until `end`. What does not get through is told anew: Kafka being away is everybody's trouble.

        By a new producer: one whose broker was away sometimes never connects again.
        """
        producer = self._producer()
        while not self._ended.is_set():
            self._tell(producer)
            self._ended.wait(TELL_EVERY)
            producer.poll(0)
            if self._unheard:
                producer = self._producer()
        self._tell(producer)
        producer.flush(WITHIN)

    def end(self) -> None:
        """Say goodbye."""
        self._ended.set()
        self.join(timeout=WITHIN + 1)

    def _producer(self) -> Producer:
        self._unheard = False
        return Producer(client_settings(self._settings) | {"acks": "all", "message.timeout.ms": int(WITHIN * 1000)})

    def _note(self, error: KafkaError | None, _message: Message) -> None:
        self._unheard = error is not None

    def _tell(self, producer: Producer) -> None:
        ended = self._ended.is_set()
        try:
            told = Told.of_forwarder(self._status(), ended=ended)
        except Exception as error:  # noqa: BLE001 - falling silent would hide why
            told = Told(waiting=None, problems=[f"it can't say how it is: {error!r}"], ended=ended)
        try:
            body = told.model_dump_json().encode()
            producer.produce(self._settings.status_topic, value=body, key=self._desktop, on_delivery=self._note)
            producer.poll(0)
        except (KafkaException, BufferError) as error:
            logger.warning("%s: not told how this forwarder is: %s", self._desktop, error)


class Desktops(threading.Thread):
    """In the pod: what each desktop told last."""

    def __init__(self, settings: Settings, stopping: threading.Event) -> None:
        super().__init__(name="desktops", daemon=True)
        self._settings = settings
        self._stopping = stopping
        self._guard = threading.Lock()
        self._told: dict[str, tuple[float, Told]] = {}
        #: The offset after that of the last one that was read.
        self._read_to = 0
        #: Since when Kafka answers without a break, and when it did last: while it is away, nobody is silent.
        self._since = self._answered = 0.0

    def run(self) -> None:
        """Read until told to stop; after trouble from the beginning."""
        while not self._stopping.is_set():
            try:
                self._read()
            except KafkaException as error:
                logger.debug("desktops: %s; again in %.0f s", error, AGAIN_AFTER)
            self._stopping.wait(AGAIN_AFTER)

    def status(self) -> dict[str, dict[str, Any]] | None:
        """Each desktop that ever told anything, by name; None until the topic was read once."""
        with self._guard:
            if not self._answered:
                return None
            return {
                desktop: DesktopStatus(
                    **told.model_dump(), silent_for=round(max(0.0, self._answered - max(heard, self._since)), 3)
                ).model_dump()
                for desktop, (heard, told) in sorted(self._told.items())
            }

    def _read(self) -> None:
        consumer = Consumer(
            client_settings(self._settings)
            | {"group.id": "desktops", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        )
        partition = TopicPartition(self._settings.status_topic, 0, OFFSET_BEGINNING)
        try:
            consumer.assign([partition])
            self._since = ask_at = 0.0
            self._read_to = 0
            while not self._stopping.is_set():
                message = consumer.poll(0.5)
                if message is not None:
                    self._take(message)
                if time.monotonic() >= ask_at:
                    low, high = consumer.get_watermark_offsets(partition, timeout=WITHIN)
                    if low == high or self._read_to >= high:
                        self._note_answer()
                    ask_at = time.monotonic() + ASK_EVERY
        finally:
            consumer.close()

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.fatal() or error.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION}:
                raise KafkaException(error)
            return
        self._read_to = (message.offset() or 0) + 1
        try:
            told = Told.model_validate(json.loads(message.value() or b""))
        except (ValueError, ValidationError) as error_:
            logger.warning("a desktop tells what nobody understands: %s", error_)
            return
        # The time at which Kafka took it: clocks of desktops may be wrong.
        with self._guard:
            self._told[(message.key() or b"").decode(errors="replace")] = (message.timestamp()[1] / 1000, told)

    def _note_answer(self) -> None:
        with self._guard:
            self._answered = time.time()
            self._since = self._since or self._answered
