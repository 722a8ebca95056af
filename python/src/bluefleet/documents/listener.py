"""A consumer from outside: the document stream through Kafka's TLS listener, read only.

    for message in Listener(settings).messages():
        print(message.name, message.document["uid"])

What a program gets without this project is the same with plain confluent-kafka and `msgpack_numpy`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from confluent_kafka import Message

from bluefleet.documents import codec
from bluefleet.documents.codec import Document
from bluefleet.documents.errors import DocumentUnreadable
from bluefleet.documents.settings import ListenerSettings
from bluefleet.documents.topic_reader import TopicReader


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
        self.topic = topic or settings.topic
        self._from_beginning = from_beginning

    def messages(self, *, run: str = "", going_on: Callable[[], bool] = lambda: True) -> Iterator[Heard]:
        """Documents as they come, of runs whose uid begins with `run`. Raises Unavailable without Kafka when it begins; a Kafka
        that goes away later is waited for."""
        reader = TopicReader(self._settings, self.topic, from_beginning=self._from_beginning)
        try:
            while going_on():
                message = reader.read()
                if message is None:
                    continue
                heard = _heard(message)
                if heard.run.startswith(run):
                    yield heard
        finally:
            reader.close()


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def _heard(message: Message) -> Heard:
    headers = {key: _text(value) for key, value in message.headers() or []}
    try:
        name, document = codec.decode(message.value() or b"")
    except DocumentUnreadable:
        # Only dead letters hold such; there is nothing to show but the reason.
        name, document = ("settled" if "settled" in headers else "unreadable"), {}
    return Heard(message.offset() or 0, (message.key() or b"").decode(errors="replace"), name, document, headers)
