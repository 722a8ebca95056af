"""A consumer from outside: the document stream through Kafka's TLS listener, read only.

    for message in Listener(settings).messages():
        print(message.name, message.document["uid"])

What a program gets without this project is the same with plain confluent-kafka and `msgpack_numpy`.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, Message, TopicPartition

from bluefleet.documents import codec
from bluefleet.documents.codec import Document
from bluefleet.documents.errors import DocumentUnreadable, Unavailable
from bluefleet.documents.kafka import DEADLINE, client_settings
from bluefleet.documents.settings import ListenerSettings

POLL = 0.2


@dataclass(frozen=True)
class Heard:
    """A document with where it stands in the topic. Dead letters have a `reason` among their headers.

    `settled` is no document: it says that somebody has seen to the dead letter with that offset.
    """

    offset: int
    run: str
    name: str
    document: Document
    headers: dict[str, str] = field(default_factory=dict[str, str])


class Listener:
    """Follows a topic, keeping no position: each one hears everything from where it begins."""

    def __init__(self, settings: ListenerSettings, *, topic: str | None = None, from_beginning: bool = False) -> None:
        self._settings = settings
        self._topic = topic or settings.topic
        self._start = OFFSET_BEGINNING if from_beginning else OFFSET_END

    def messages(self, *, run: str = "", going_on: Callable[[], bool] = lambda: True) -> Iterator[Heard]:
        """Documents as they come, of runs whose uid begins with `run`. Raises Unavailable without Kafka."""
        consumer = Consumer(
            client_settings(self._settings)
            # A group of its own is never used to keep a position; the name must be there all the same.
            | {"group.id": f"listener-{uuid.uuid4()}", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        )
        try:
            self._join(consumer)
            while going_on():
                message = consumer.poll(POLL)
                if message is None or message.error() is not None:
                    continue
                heard = _heard(message)
                if heard is not None and heard.run.startswith(run):
                    yield heard
        finally:
            consumer.close()

    def _join(self, consumer: Consumer) -> None:
        where = self._settings.kafka_bootstrap
        try:
            topics = consumer.list_topics(timeout=DEADLINE).topics
        except KafkaException as error:
            raise Unavailable(
                f"Kafka at {where}: {error.args[0].str()}; address, CA file and password right?"
            ) from error
        if self._topic not in topics:
            raise Unavailable(f"Kafka at {where} has no topic {self._topic} that this user may read")
        consumer.assign([TopicPartition(self._topic, 0, self._start)])


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def _heard(message: Message) -> Heard | None:
    headers = {key: _text(value) for key, value in message.headers() or []}
    try:
        name, document = codec.decode(message.value() or b"")
    except DocumentUnreadable:
        # Only dead letters hold such; there is nothing to show but the reason.
        name, document = ("settled" if "settled" in headers else "unreadable"), {}
    return Heard(message.offset() or 0, (message.key() or b"").decode(errors="replace"), name, document, headers)
