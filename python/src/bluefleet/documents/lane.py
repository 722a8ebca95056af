"""One spool's way into Kafka: in order, marked as delivered only when Kafka has said so."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from bluefleet.documents import spool_store
from bluefleet.documents.errors import DocumentError, SpoolFailed, Unavailable
from bluefleet.documents.kafka import SENT_AGAIN_AFTER, end_of_topic, ensure_topics, idempotent_producer
from bluefleet.documents.lost_deliveries import unmark_lost
from bluefleet.documents.settings import ForwarderSettings, Settings
from bluefleet.documents.spool_store import Spooled

logger = logging.getLogger(__name__)

#: Documents and bytes on their way at once; how long an empty spool is left alone; longest back-off. Seconds.
BATCH = 2000
BATCH_BYTES = 32 * 1024**2
IDLE = 0.02
BACK_OFF = 5.0
#: A producer that gets nothing acknowledged for so long, in seconds, is given up for a new one: when a broker was away,
#: librdkafka's sometimes never connects again. It has sent several times by then, which doubles nothing; the new one does
#: not know what Kafka took of the old one's.
NEW_PRODUCER_AFTER = 6 * SENT_AGAIN_AFTER
#: Answers after which sending the same document again is of no use.
PERMANENT = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_MSG_SIZE}

Report = tuple[int, int | None, str | None]


class Lane(threading.Thread):
    """Delivers one spool until told to stop. What went wrong last is in `trouble`."""

    def __init__(
        self, path: Path, settings: ForwarderSettings, stopping: threading.Event, *, trouble: str = ""
    ) -> None:
        super().__init__(name=f"lane-{path.stem}", daemon=True)
        self.writer = settings.writer_of(path)
        self.trouble = trouble
        self.delivered_at = 0.0
        self._path = path
        self._settings = settings
        self._stopping = stopping

    def run(self) -> None:
        """Deliver; after trouble begin again from what is marked, with a fresh connection and producer."""
        pause = 0.1
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._deliver_until_trouble()
            except (DocumentError, KafkaException, sqlite3.Error) as error:
                self.trouble = str(error)
                logger.warning("%s: %s; trying again in %.1f s", self.writer, error, pause)
            self._stopping.wait(pause)
            pause = 0.1 if time.monotonic() - began > 2 * BACK_OFF else min(BACK_OFF, pause * 2)

    def _deliver_until_trouble(self) -> None:
        if self._settings.makes_topics:
            ensure_topics(self._settings, retention_bytes=self._settings.kafka_retention_bytes)
        fault = unmark_lost(self._settings.spools(), end_of_topic, self._settings).get(self._path)
        if fault is not None:
            # What Kafka lost of it would stay marked, and go unnoticed once the topic has grown again.
            raise SpoolFailed(fault)
        connection = spool_store.connect(self._path)
        delivery = Delivery(self._settings, self._stopping)
        try:
            self.trouble = ""
            while not self._stopping.is_set():
                # Asked each time: another lane may have found out that Kafka lost some of ours.
                cursor = spool_store.last_delivered(connection)
                batch = spool_store.undelivered(connection, after=cursor, documents=BATCH, size=BATCH_BYTES)
                if not batch:
                    self._stopping.wait(IDLE)
                    continue
                reports, failure = delivery.send(batch, self._waits)
                if reports:
                    spool_store.mark_delivered(connection, reports)
                    self.delivered_at = time.time()
                if failure:
                    raise Unavailable(failure)
                self.trouble = ""
        finally:
            delivery.give_up()
            connection.close()

    def _waits(self, error: str) -> None:
        self.trouble = f"Kafka at {self._settings.kafka_bootstrap}: {error}"


class Delivery:
    """An idempotent producer and the wait for its delivery reports."""

    def __init__(self, settings: Settings, stopping: threading.Event, *, header: str = "") -> None:
        self._producer: Producer = idempotent_producer(settings)
        self._topic = settings.topic
        self._headers: dict[str, str | bytes | None] = {header: "yes"} if header else {}
        self._stopping = stopping

    def send(self, batch: Sequence[Spooled], waits: Callable[[str], None]) -> tuple[list[Report], str]:
        """Deliver in order; the reports up to the first that did not get there, and why that did not.

        Calls `waits` every few seconds while nothing is acknowledged. A stop ends the wait, and so does a silence after
        which another producer should try: if Kafka had taken some of it, those documents are in the topic twice.
        """
        outcome: dict[int, Message | KafkaError] = {}

        for spooled in batch:
            self._produce(spooled, outcome)
        quiet_until = time.monotonic() + BACK_OFF
        acknowledged, heard_at = 0, time.monotonic()
        while len(outcome) < len(batch) and not self._stopping.is_set():
            self._producer.poll(0.05)
            now = time.monotonic()
            if len(outcome) > acknowledged:
                acknowledged, heard_at = len(outcome), now
            elif now - heard_at > NEW_PRODUCER_AFTER:
                return _in_order(batch, outcome, f"no acknowledgement within {NEW_PRODUCER_AFTER:.0f} s")
            if now > quiet_until:
                waits(f"no acknowledgement of {len(batch) - len(outcome)} documents yet")
                quiet_until = now + BACK_OFF
        return _in_order(batch, outcome, "stopped before Kafka answered")

    def give_up(self) -> None:
        """Forget what is not acknowledged: the spool still has it."""
        self._producer.purge()
        self._producer.flush(1)

    def _produce(self, spooled: Spooled, outcome: dict[int, "Message | KafkaError"]) -> None:
        def report(error: KafkaError | None, message: Message) -> None:
            outcome[spooled.seq] = error or message

        while True:
            try:
                self._producer.produce(
                    self._topic,
                    value=spooled.body,
                    key=spooled.run.encode(),
                    headers=self._headers,
                    partition=0,
                    on_delivery=report,
                )
            except BufferError:
                self._producer.poll(0.1)
                if self._stopping.is_set():
                    return
            except KafkaException as error:
                outcome[spooled.seq] = error.args[0]
                return
            else:
                return


def _in_order(
    batch: Sequence[Spooled], outcome: dict[int, "Message | KafkaError"], silence: str
) -> tuple[list[Report], str]:
    reports: list[Report] = []
    for spooled in batch:
        result = outcome.get(spooled.seq)
        if result is None:
            return reports, silence
        if isinstance(result, Message):
            reports.append((spooled.seq, result.offset(), None))
        elif result.code() in PERMANENT:
            logger.error("Kafka refused document %d of run %s: %s", spooled.seq, spooled.run, result.str())
            reports.append((spooled.seq, None, result.str()))
        else:
            return reports, result.str()
    return reports, ""
