"""Who may do what with the topics, for those who log in: sinks read and write dead letters, listeners only read,
forwarders of terminals only write documents, and how they are."""

# confluent_kafka.admin is public, and does not say so in the way pyright looks for.
# pyright: reportPrivateImportUsage=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import logging

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from bluefleet.documents.settings import MONGO_SINK, TILED_SINK, Settings

logger = logging.getLogger(__name__)

SINK = "sink"
LISTENER = "listener"
TERMINAL = "terminal"
#: How the names of listeners' groups of consumers begin.
LISTENERS = "listener-"


def rules(settings: Settings) -> list[AclBinding]:
    """What is allowed; everything else is not.

    Who may read as a group may also say how far it has read: sinks go on from there, so their groups are theirs alone.
    """
    read, write = AclOperation.READ, AclOperation.WRITE
    topic, group = ResourceType.TOPIC, ResourceType.GROUP
    exactly, beginning = ResourcePatternType.LITERAL, ResourcePatternType.PREFIXED
    allowed = [
        (SINK, topic, settings.topic, exactly, read),
        (SINK, topic, settings.dead_topic, exactly, write),
        (SINK, group, settings.group(MONGO_SINK), exactly, read),
        (SINK, group, settings.group(TILED_SINK), exactly, read),
        (LISTENER, topic, settings.topic, exactly, read),
        (LISTENER, topic, settings.dead_topic, exactly, read),
        (LISTENER, group, LISTENERS, beginning, read),
        (TERMINAL, topic, settings.topic, exactly, write),
        (TERMINAL, topic, settings.status_topic, exactly, write),
    ]
    return [
        AclBinding(kind, name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW)
        for user, kind, name, pattern, operation in allowed
    ]


def obsolete() -> list[AclBindingFilter]:
    """What was allowed once: any group to who reads."""
    kind, exactly = ResourceType.GROUP, ResourcePatternType.LITERAL
    return [
        AclBindingFilter(kind, "*", exactly, f"User:{user}", "*", AclOperation.READ, AclPermissionType.ALLOW)
        for user in (SINK, LISTENER)
    ]


def ensure_access(admin: AdminClient, settings: Settings, *, deadline: float, grace: float) -> None:
    """The rules are in force, and no older ones. Raises KafkaException, or TimeoutError when the library itself says nothing."""
    try:
        for answer in admin.create_acls(rules(settings), request_timeout=deadline).values():
            answer.result(timeout=deadline + grace)
        # After that: who is allowed either way is never refused in between.
        for answer in admin.delete_acls(obsolete(), request_timeout=deadline).values():
            if answer.result(timeout=deadline + grace):
                logger.info("who may read may no longer do so as any group of consumers")
    except KafkaException as error:
        if error.args[0].code() != KafkaError.SECURITY_DISABLED:
            raise
        logger.warning("Kafka has no authorizer: whoever reaches it may write")
