"""Sends documents to Kafka once more, behind all others: the sinks recognise what they have, and store what they lack."""

import threading
from collections.abc import Callable, Iterable, Iterator

from bluefleet.documents.errors import Unavailable
from bluefleet.documents.kafka import AGAIN, ALONE
from bluefleet.documents.lane import BATCH, BATCH_BYTES, Delivery, Report
from bluefleet.documents.settings import Settings
from bluefleet.documents.spool_store import Spooled

#: How often Kafka may leave a batch unanswered for some seconds until this gives up.
WAITS = 3


def resend(
    settings: Settings, documents: Iterable[Spooled], note: Callable[[list[Report]], None], *, alone: bool = False
) -> None:
    """Send them in order, a batch at a time; `note` hears of each batch that Kafka has. Raises Unavailable.

    `alone` marks documents that come without the rest of their runs.
    """
    giving_up = threading.Event()
    silences: list[str] = []

    def waits(error: str) -> None:
        silences.append(error)
        if len(silences) >= WAITS:
            giving_up.set()

    delivery = Delivery(settings, giving_up, header=ALONE if alone else AGAIN)
    try:
        for batch in _batches(documents):
            reports, failure = delivery.send(batch, waits)
            note(reports)
            if failure:
                raise Unavailable(f"Kafka at {settings.kafka_bootstrap}: {silences[-1] if silences else failure}")
            silences.clear()
    finally:
        delivery.give_up()


def _batches(documents: Iterable[Spooled]) -> Iterator[list[Spooled]]:
    batch: list[Spooled] = []
    size = 0
    for document in documents:
        if batch and (len(batch) >= BATCH or size + len(document.body) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += len(document.body)
    if batch:
        yield batch
