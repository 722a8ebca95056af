"""The one place that knows how to speak to Kafka: client settings, topics, dead letters."""

# confluent_kafka.admin is public, and does not say so in the way pyright looks for.
# pyright: reportPrivateImportUsage=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import logging
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from bluefleet.documents.access import ensure_access
from bluefleet.documents.codec import DEFAULT_LIMIT
from bluefleet.documents.errors import SettingsWrong, Unavailable
from bluefleet.documents.settings import Settings, read_secret

logger = logging.getLogger(__name__)

#: The header of a document that somebody has sent again by itself, without the rest of its run.
ALONE = "alone"
#: The header of the documents of a run that somebody has sent again.
AGAIN = "again"
#: A document at its limit, its envelope and the headers of a dead letter fit.
MAX_MESSAGE_BYTES = DEFAULT_LIMIT + 1024**2
DEADLINE = 10.0
#: How long Kafka may take to say where the topic ends to a client that reads it already. Seconds.
ANSWER_WITHIN = 2.0
#: A client that hears nothing of Kafka for so long, in seconds, while it should, is given up for a new one: when a broker
#: was away, librdkafka's sometimes never connects again.
NEW_CLIENT_AFTER = 20.0
#: What a producer has sent and got no acknowledgement of for so long, in seconds, it sends again; Kafka knows the second copy.
SENT_AGAIN_AFTER = 15.0
#: The library's own answer, which names the reason, comes before we stop waiting for it.
GRACE = 2.0

ClientSettings = dict[str, str | int | float | bool]


def client_settings(settings: Settings) -> ClientSettings:
    """What every Kafka client needs: where, and how to prove who is who."""
    common: ClientSettings = {
        "bootstrap.servers": settings.kafka_bootstrap,
        "client.id": f"bluefleet-{settings.site}",
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 2000,
        "socket.keepalive.enable": True,
        # What is wrong is in each service's status; the library would say so twenty times a second.
        "log_level": 2,
    }
    if settings.kafka_username is None:
        return common
    if settings.kafka_password_file is None:
        raise SettingsWrong("BLUEFLEET_KAFKA_USERNAME is set and BLUEFLEET_KAFKA_PASSWORD_FILE is not")
    secure: ClientSettings = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": settings.kafka_username,
        "sasl.password": read_secret(settings.kafka_password_file),
    }
    if settings.kafka_ca_file is not None:
        secure["ssl.ca.location"] = str(settings.kafka_ca_file)
    return common | secure


def idempotent_producer(settings: Settings) -> Producer:
    """A producer that keeps order and never gives a message up for taking long."""
    return Producer(
        client_settings(settings)
        | {
            "enable.idempotence": True,
            "acks": "all",
            "message.timeout.ms": 0,
            "socket.timeout.ms": int(SENT_AGAIN_AFTER * 1000),
            "linger.ms": 2,
            "message.max.bytes": MAX_MESSAGE_BYTES,
        }
    )


def ensure_topics(settings: Settings, *, retention_bytes: int) -> None:
    """Documents and dead letters have their topics, one partition each, kept by size and not by time, and are on the disk
    when Kafka has acknowledged them; so has what desktops tell of themselves, of which the last word of each is kept.

    Raises Unavailable.
    """
    documents = {
        "retention.ms": "-1",
        "retention.bytes": str(retention_bytes),
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
        "cleanup.policy": "delete",
        # There is no second broker that would have what a power cut takes from this one's memory.
        "flush.messages": "1",
    }
    # By the broker's clock: one clock says who fell silent.
    status = {"cleanup.policy": "compact", "segment.ms": "3600000", "message.timestamp.type": "LogAppendTime"}
    every = {settings.topic: documents, settings.dead_topic: documents, settings.status_topic: status}
    try:
        admin = AdminClient(client_settings(settings))
        existing = admin.list_topics(timeout=DEADLINE).topics
        for topic, wanted in every.items():
            if topic in existing:
                _configure(admin, topic, wanted)
            else:
                _create(admin, topic, wanted)
        ensure_access(admin, settings, deadline=DEADLINE, grace=GRACE)
    except KafkaException as error:
        raise Unavailable(f"Kafka at {settings.kafka_bootstrap}: {error}") from error
    except TimeoutError as error:
        raise Unavailable(f"Kafka at {settings.kafka_bootstrap}: no answer within {DEADLINE + GRACE:g} s") from error


def end_of_topic(settings: Settings) -> int:
    """The offset that the next document gets. Raises Unavailable."""
    consumer = Consumer(client_settings(settings) | {"group.id": "end-of-topic", "enable.auto.commit": False})
    try:
        return consumer.get_watermark_offsets(TopicPartition(settings.topic, 0), timeout=DEADLINE)[1]
    except KafkaException as error:
        raise Unavailable(f"Kafka at {settings.kafka_bootstrap}: {error}") from error
    finally:
        consumer.close()


def _create(admin: AdminClient, topic: str, wanted: Mapping[str, str]) -> None:
    new = NewTopic(topic, num_partitions=1, replication_factor=1, config=dict(wanted))
    try:
        made = admin.create_topics([new], operation_timeout=DEADLINE, request_timeout=DEADLINE)
        made[topic].result(timeout=DEADLINE + GRACE)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
    logger.info("topic %s created", topic)


def _configure(admin: AdminClient, topic: str, wanted: Mapping[str, str]) -> None:
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in wanted.items()]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    altered = admin.incremental_alter_configs([resource], request_timeout=DEADLINE)
    altered[resource].result(timeout=DEADLINE + GRACE)


class DeadLetters:
    """Where documents go that can't be stored, each with the reason and where it came from."""

    def __init__(self, settings: Settings, sink: str) -> None:
        # Not idempotent: one letter at a time needs no order, a second copy of one does no harm, and a producer that
        # asked for its number before the forwarder has allowed anything is refused for good.
        self._producer = Producer(
            client_settings(settings)
            | {"acks": "all", "message.timeout.ms": int(DEADLINE * 1000), "message.max.bytes": MAX_MESSAGE_BYTES}
        )
        self._topic = settings.dead_topic
        self._sink = sink

    def send(self, message: Message, reason: str) -> None:
        """The message is in the dead letters when this returns. Raises Unavailable when it is not."""
        failures: list[KafkaError] = []
        headers: list[tuple[str, str | bytes | None]] = [
            ("reason", reason.encode()[:8192]),
            ("sink", self._sink.encode()),
            ("offset", str(message.offset()).encode()),
        ]

        def report(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failures.append(error)

        try:
            self._producer.produce(
                self._topic, value=message.value(), key=message.key(), headers=headers, on_delivery=report
            )
        except KafkaException as error:
            raise Unavailable(f"dead letters of {self._sink}: {error}") from error
        if self._producer.flush(DEADLINE + 1) or failures:
            raise Unavailable(f"dead letters of {self._sink}: {failures or 'no answer from Kafka'}")
