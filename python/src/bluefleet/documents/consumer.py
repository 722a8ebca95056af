"""The loop that both sinks share: read Kafka, write, then commit; what can't be stored goes to dead letters.

Offsets are committed only after the write, and only up to what the sink says it needs no more. The sink is the one
consumer of its group and of the one partition, which it assigns itself: nothing is rebalanced, so it may wait for its
database as long as that takes.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from bluefleet.documents import codec
from bluefleet.documents.closing import let_go_of
from bluefleet.documents.codec import Document
from bluefleet.documents.errors import DocumentUnreadable, Stopping, Unavailable
from bluefleet.documents.kafka import (
    AGAIN,
    ALONE,
    ANSWER_WITHIN,
    DEADLINE,
    NEW_CLIENT_AFTER,
    DeadLetters,
    client_settings,
)
from bluefleet.documents.listening import Listening
from bluefleet.documents.named_runs import NamedRun, NamedRuns
from bluefleet.documents.patience import Patience
from bluefleet.documents.run_digest import RunDigest
from bluefleet.documents.run_reference import RunReference
from bluefleet.documents.settings import Settings
from bluefleet.documents.status_server import StatusServer
from bluefleet.documents.until_told import log_at, run_until_told

logger = logging.getLogger(__name__)

BATCH = 1000
#: How many messages the client fetches beforehand, seconds of a sink's work: by itself it takes 100,000, some 60 MB of small ones.
READ_AHEAD = 20 * BATCH
#: How long a batch may come together, in seconds: part of how late a live reader sees an event.
GATHER = 0.05
#: How often Kafka is asked for the end of the topic. Seconds.
ASK_EVERY = 2.0
#: A loop that has not come round for so long is stuck.
STUCK_AFTER = 120.0
#: How many gaps in the topic the status names, the latest ones.
GAPS = 5


@dataclass(frozen=True)
class Received:
    """A document from Kafka."""

    offset: int
    run: str
    name: str
    document: Document
    #: Whether somebody sent it again by itself, without the rest of its run.
    alone: bool = False
    #: Whether somebody sent it again, by itself or with its run.
    again: bool = False
    #: When it came, by the time that Kafka was listened to.
    heard_at: float = 0.0


@dataclass(frozen=True)
class Rejected:
    """A document that can't be stored, and why."""

    offset: int
    reason: str


class Sink(Protocol):
    """What stores documents."""

    name: str

    def prepare(self) -> None:
        """Make indexes, connect. Raises Unavailable."""
        ...

    def write(self, batch: Sequence[Received], patience: Patience) -> list[Rejected]:
        """Everything that can be stored is stored when this returns; the others come back with reasons.

        It must bear documents it has seen before.
        """
        ...

    def needed_from(self, next_offset: int) -> int:
        """The offset to begin again from after a restart."""
        ...

    def let_go(self, heard_until: float) -> bool:
        """Wait no longer for runs of which nothing came for too long before then, counted as `Received.heard_at` is; whether
        there were any."""
        ...

    def problems(self) -> list[str]:
        """What people should know of what it stores, in words."""
        ...

    def named(self, reference: RunReference) -> list[NamedRun]:
        """Runs of the database that may be meant, the last ones first in doubt. Raises Unavailable."""
        ...

    def holds(self, reference: str) -> RunDigest:
        """What the database holds of a run. Raises RunNotFound, Unavailable."""
        ...


class SinkService:
    """One sink at work."""

    def __init__(self, sink: Sink, settings: Settings, group: str) -> None:
        self._sink = sink
        self._settings = settings
        self._group = group
        self._stopping = threading.Event()
        self._patience = Patience(self._stopping)
        self._partition = TopicPartition(settings.topic, 0)
        #: Which client is in use.
        self._client = object()
        self._position = 0
        self._committed = -1
        self._asked = -1
        #: The offset that must come next; None where the topic's beginning may be anywhere.
        self._expected: int | None = None
        self._gaps: list[str] = []
        self._high = 0
        self._written = 0
        self._rejected = 0
        self._last: dict[str, Any] = {}
        self._kafka_trouble = "not connected to Kafka yet"
        #: Kafka answers new clients, and sends them nothing of what it has.
        self._stalled = ""
        self._ask_again_at = 0.0
        #: When Kafka last sent something, or had nothing more, by `time.monotonic()`.
        self._answered = 0.0
        #: The end of the topic as Kafka said last, and for how long it had been listened to when it was asked.
        self._end_known: tuple[int, float] | None = None
        self._listening = Listening()
        #: Since when, in epoch seconds, the oldest document in hand and the oldest not read yet have waited; 0 = none.
        self._in_hand_since = 0.0
        self._behind_since = 0.0
        self.status_server = StatusServer(
            settings.status_port,
            {"status": self.status, "runs": self.run_in_database, "named": self.runs_named},
            self.healthy,
            key=settings.status_key,
        )

    def run(self) -> None:
        """Work until `stop`."""
        self.status_server.start()
        try:
            self._patience.until_available(self._sink.prepare)
            while not self._stopping.is_set():
                consumer = self._patience.until_available(self._connected)
                try:
                    self._consume(consumer)
                finally:
                    let_go_of(consumer)
        except Stopping:
            logger.info("stopped while waiting; what was not written is read again")
        finally:
            self.status_server.stop()

    def stop(self) -> None:
        """Let go; what is not committed is read again."""
        self._stopping.set()

    def healthy(self) -> bool:
        """The loop comes round; a database or Kafka being away is not this service's illness."""
        return time.monotonic() - self._patience.ticked < STUCK_AFTER

    def status(self, _rest: str = "") -> dict[str, Any]:
        """Position, lag and trouble."""
        problems = [text for text in (self._patience.trouble, self._kafka_trouble, self._stalled, *self._gaps) if text]
        problems += self._sink.problems()
        return {
            "service": self._sink.name,
            "topic": self._settings.topic,
            "ok": not problems,
            "problems": problems,
            "position": self._position,
            "committed": self._committed,
            "lag": max(0, self._high - self._position),
            "oldest_age": self._oldest_age(),
            "written": self._written,
            "rejected": self._rejected,
            "last": self._last,
        }

    def run_in_database(self, reference: str) -> Mapping[str, Any]:
        """What the database holds of a run."""
        return self._sink.holds(reference).model_dump()

    def runs_named(self, name: str) -> Mapping[str, Any]:
        """Which runs of the database a name may mean. Raises RunNotFound for what can't name a run."""
        # Read first: everything before it is in the database by now.
        end = self._position
        return NamedRuns(runs=self._sink.named(RunReference.parse(name)), end=end).model_dump()

    def _oldest_age(self) -> float:
        begun = [since for since in (self._in_hand_since, self._behind_since) if since]
        return round(max(0.0, time.time() - min(begun)), 3) if begun else 0.0

    @functools.cached_property
    def _dead(self) -> DeadLetters:
        return DeadLetters(self._settings, self._sink.name)

    def _consumer_settings(self) -> dict[str, Any]:
        return client_settings(self._settings) | {
            "group.id": self._settings.group(self._group),
            "enable.auto.commit": False,
            "on_commit": self._commits_of_this_client(),
            "auto.offset.reset": "earliest",
            # What comes is sent at once; where nothing does, each question costs the broker, and holds up the one for the end.
            "fetch.wait.max.ms": 200,
            "fetch.error.backoff.ms": 100,
            "queued.max.messages.kbytes": 32768,
            "queued.min.messages": READ_AHEAD,
            "topic.metadata.refresh.interval.ms": 5000,
        }

    def _connected(self) -> Consumer:
        """A new client that reads on. Raises Unavailable."""
        consumer = Consumer(self._consumer_settings())
        try:
            self._assign(consumer)
        except Unavailable:
            let_go_of(consumer)
            raise
        return consumer

    def _assign(self, consumer: Consumer) -> None:
        """Go on where the last commit says."""
        try:
            if self._settings.topic not in consumer.list_topics(timeout=DEADLINE).topics:
                raise Unavailable(f"topic {self._settings.topic} does not exist yet")
            committed = consumer.committed([self._partition], timeout=DEADLINE)[0].offset
            first = self._first_offset(consumer) if committed < 0 else committed
        except KafkaException as error:
            raise Unavailable(f"Kafka at {self._settings.kafka_bootstrap}: {error}") from error
        self._position = max(0, first)
        self._committed = self._asked = committed
        self._expected = committed if committed >= 0 else None
        consumer.assign([TopicPartition(self._settings.topic, 0, first)])
        self._kafka_trouble = ""

    def _first_offset(self, consumer: Consumer) -> int:
        """Where to begin without a position of our own."""
        del consumer
        return OFFSET_BEGINNING

    def _consume(self, consumer: Consumer) -> None:
        """Until a stop, or until a new client has to go on."""
        self._answered = time.monotonic()
        while not self._stopping.is_set():
            if time.monotonic() - self._answered > NEW_CLIENT_AFTER:
                if not self._kafka_trouble:
                    self._stalled = f"Kafka at {self._settings.kafka_bootstrap} has more and sends nothing"
                logger.warning("%s; going on with a new client", self._kafka_trouble or self._stalled)
                return
            self._patience.ticked = time.monotonic()
            messages = consumer.consume(BATCH, timeout=GATHER)
            good: list[Message] = []
            for message in messages:
                error = message.error()
                if error is None:
                    good.append(message)
                elif self._is_fatal(error):
                    return
            if good:
                self._handle(good)
                self._commit(consumer)
                self._answered = time.monotonic()
            self._note_lag(consumer)

    def _is_fatal(self, error: KafkaError) -> bool:
        """Whether to begin with a new consumer."""
        if error.code() == KafkaError._PARTITION_EOF:
            return False
        self._kafka_trouble = f"Kafka at {self._settings.kafka_bootstrap}: {error.str()}"
        logger.warning("%s", self._kafka_trouble)
        return error.fatal() or error.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION}

    def _handle(self, messages: list[Message]) -> None:
        self._kafka_trouble = self._stalled = ""
        batch: list[Received] = []
        rejected: list[Rejected] = []
        for message in messages:
            offset = message.offset() or 0
            self._note_gap(offset)
            try:
                name, document = codec.decode(message.value() or b"")
            except DocumentUnreadable as error:
                rejected.append(Rejected(offset, str(error)))
            else:
                run = (message.key() or b"").decode(errors="replace")
                headers = {key for key, _ in message.headers() or []}
                again = not headers.isdisjoint({ALONE, AGAIN})
                batch.append(Received(offset, run, name, document, ALONE in headers, again, self._listening.seconds))
        self._in_hand_since = messages[0].timestamp()[1] / 1000
        rejected += self._sink.write(batch, self._patience)
        self._bury(messages, rejected)
        self._in_hand_since = 0.0
        self._position = (messages[-1].offset() or 0) + 1
        self._high = max(self._high, self._position)
        self._written += len(messages) - len(rejected)
        if batch:
            last = batch[-1]
            self._last = {"run": last.run, "name": last.name, "offset": last.offset, "time": time.time()}

    def _bury(self, messages: list[Message], rejected: list[Rejected]) -> None:
        by_offset = {message.offset(): message for message in messages}
        for item in rejected:
            message = by_offset[item.offset]
            logger.error("document at offset %d can't be stored: %s", item.offset, item.reason)
            self._patience.until_available(lambda m=message, r=item.reason: self._send_dead(m, r))
            self._rejected += 1

    def _send_dead(self, message: Message, reason: str) -> None:
        try:
            self._dead.send(message, reason)
        except Unavailable:
            # A producer whose broker was away sometimes never connects again: the next attempt has a new one.
            del self._dead
            raise

    def _note_gap(self, offset: int) -> None:
        """Offsets that never come: the topic is limited in size, and its end ran over this sink."""
        if self._expected is not None and offset > self._expected:
            gap = f"documents {self._expected}-{offset - 1} of {self._settings.topic} were gone before they were stored"
            logger.error("%s", gap)
            self._gaps = [*self._gaps, gap][-GAPS:]
        self._expected = offset + 1

    def _commit(self, consumer: Consumer) -> None:
        """Ask for it and go on: the answer comes to `_note_commit`, and a broker that is away holds nothing up."""
        offset = self._sink.needed_from(self._position)
        if offset == self._asked:
            return
        self._asked = offset
        try:
            consumer.commit(offsets=[TopicPartition(self._settings.topic, 0, offset)], asynchronous=True)
        except KafkaException as error:
            self._note_commit(error.args[0], [])

    def _commits_of_this_client(self) -> Callable[[KafkaError | None, list[TopicPartition]], None]:
        """What the next client's commits come to. One that is given up may still hear of its own much later."""
        client = self._client = object()

        def note(error: KafkaError | None, partitions: list[TopicPartition]) -> None:
            if client is self._client:
                self._note_commit(error, partitions)

        return note

    def _note_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        if error is not None:
            # The next one that gets through commits this one too.
            self._asked = -1
            self._kafka_trouble = f"Kafka at {self._settings.kafka_bootstrap}: {error.str()}"
            return
        for partition in partitions:
            self._committed = partition.offset

    def _note_lag(self, consumer: Consumer) -> None:
        """How far behind we are; asked of Kafka itself, which also shows whether it answers."""
        if time.monotonic() < self._ask_again_at:
            return
        self._let_go(consumer)
        asked_at = time.monotonic()
        try:
            _, high = consumer.get_watermark_offsets(self._partition, timeout=ANSWER_WITHIN)
        except KafkaException as error:
            self._kafka_trouble = f"Kafka at {self._settings.kafka_bootstrap}: {error.args[0].str()}"
        else:
            self._high = max(high, self._position)
            if self._high == self._position:
                self._answered = time.monotonic()
                self._stalled = ""
            self._listening.answered(asked_at)
            self._end_known = (high, self._listening.seconds)
            self._behind_since = (self._behind_since or time.time()) if self._high > self._position else 0.0
            self._kafka_trouble = ""
        self._ask_again_at = time.monotonic() + ASK_EVERY

    def _let_go(self, consumer: Consumer) -> None:
        """What Kafka had when it was asked last has been handled by now: a run of which nothing was there is silent."""
        if self._end_known is None:
            return
        end, heard_until = self._end_known
        if end <= self._position and self._sink.let_go(heard_until):
            self._commit(consumer)


def serve(sink: Sink, settings: Settings, group: str) -> None:
    """Run a sink as a service until SIGTERM."""
    log_at(settings.log_level)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    run_until_told(SinkService(sink, settings, group))
