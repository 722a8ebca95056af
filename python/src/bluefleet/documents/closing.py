"""Letting go of a consumer. Its `close` waits for commits that are on their way, and knows no deadline."""

import contextlib
import threading

from confluent_kafka import Consumer, KafkaException

#: How long the answer to a last commit is waited for, in seconds; without it some documents are read twice.
CLOSED_WITHIN = 3.0


def let_go_of(consumer: Consumer) -> None:
    """Close it, and leave that to itself when Kafka does not answer: it ends with Kafka's return, or with the process."""

    def close() -> None:
        # What a commit came to is told to `on_commit`; whoever closes has no more use for it.
        with contextlib.suppress(KafkaException):
            consumer.close()

    thread = threading.Thread(target=close, name="closing", daemon=True)
    thread.start()
    thread.join(CLOSED_WITHIN)
