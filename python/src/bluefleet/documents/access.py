"""Who may do what with the topics, for those who log in: sinks read and write dead letters, listeners only read,
forwarders of terminals only write documents, and how they are."""

# confluent_kafka.admin is public, and does not say so in the way pyright looks for.
# pyright: reportPrivateImportUsage=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import logging

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from bluefleet.documents.settings import Settings

logger = logging.getLogger(__name__)

SINK = "sink"
LISTENER = "listener"
TERMINAL = "terminal"


def rules(settings: Settings) -> list[AclBinding]:
    """What is allowed; everything else is not."""
    read, write = AclOperation.READ, AclOperation.WRITE
    topic, group = ResourceType.TOPIC, ResourceType.GROUP
    allowed = [
        (SINK, topic, settings.topic, read),
        (SINK, topic, settings.dead_topic, write),
        (SINK, group, "*", read),
        (LISTENER, topic, settings.topic, read),
        (LISTENER, topic, settings.dead_topic, read),
        (LISTENER, group, "*", read),
        (TERMINAL, topic, settings.topic, write),
        (TERMINAL, topic, settings.status_topic, write),
    ]
    return [
        AclBinding(kind, name, ResourcePatternType.LITERAL, f"User:{user}", "*", operation, AclPermissionType.ALLOW)
        for user, kind, name, operation in allowed
    ]


def ensure_access(admin: AdminClient, settings: Settings, *, deadline: float, grace: float) -> None:
    """The rules are in force. Raises KafkaException, or TimeoutError when the library itself says nothing."""
    try:
        for answer in admin.create_acls(rules(settings), request_timeout=deadline).values():
            answer.result(timeout=deadline + grace)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.SECURITY_DISABLED:
            raise
        logger.warning("Kafka has no authorizer: whoever reaches it may write")
