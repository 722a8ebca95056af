"""Who may do what in Kafka, and that what was allowed once is allowed no more."""

from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AclBinding, AclBindingFilter, ResourcePatternType, ResourceType

from bluefleet.documents.access import ensure_access, rules
from bluefleet.documents.settings import Settings

SETTINGS = Settings(site="lab")


def groups_of(user: str) -> set[tuple[str, ResourcePatternType]]:
    """Of consumers."""
    return {
        (rule.name, rule.resource_pattern_type)
        for rule in rules(SETTINGS)
        if rule.restype == ResourceType.GROUP and rule.principal == f"User:{user}"
    }


def test_each_sink_has_its_group_and_listeners_have_those_of_their_name() -> None:
    exactly, beginning = ResourcePatternType.LITERAL, ResourcePatternType.PREFIXED
    assert groups_of("sink") == {("lab-mongo-sink", exactly), ("lab-tiled-sink", exactly)}
    assert groups_of("listener") == {("listener-", beginning)}
    assert groups_of("terminal") == set()


class Kafka:
    """What is allowed in it."""

    def __init__(self, *allowed: AclBinding, authorizer: bool = True) -> None:
        self.allowed = set(allowed)
        self._authorizer = authorizer

    def create_acls(self, rules: list[AclBinding], **_: float) -> dict[AclBinding, Future[None]]:
        self.allowed |= set(rules)
        return {rule: self._answer(None) for rule in rules}

    def delete_acls(self, filters: list[AclBindingFilter], **_: float) -> dict[AclBindingFilter, Future[Any]]:
        found = {each: [rule for rule in self.allowed if facts(rule) == facts(each)] for each in filters}
        self.allowed -= {rule for rules in found.values() for rule in rules}
        return {each: self._answer(rules) for each, rules in found.items()}

    def _answer(self, result: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if self._authorizer:
            future.set_result(result)
        else:
            future.set_exception(KafkaException(KafkaError(KafkaError.SECURITY_DISABLED)))
        return future


def facts(rule: Any) -> tuple[Any, ...]:
    """What makes two the same."""
    return (rule.restype, rule.name, rule.resource_pattern_type, rule.principal, rule.host, rule.operation)


def any_group(user: str) -> AclBinding:
    """As sites have it that were provisioned before."""
    mine = next(rule for rule in rules(SETTINGS) if rule.restype == ResourceType.GROUP)
    return AclBinding(
        mine.restype, "*", ResourcePatternType.LITERAL, f"User:{user}", "*", mine.operation, mine.permission_type
    )


def test_what_allowed_any_group_is_taken_away_and_nothing_else() -> None:
    other = any_group("somebody")
    kafka: Any = Kafka(any_group("sink"), any_group("listener"), other)
    ensure_access(kafka, SETTINGS, deadline=1, grace=1)
    assert kafka.allowed == {*rules(SETTINGS), other}
    ensure_access(kafka, SETTINGS, deadline=1, grace=1)
    assert kafka.allowed == {*rules(SETTINGS), other}


def test_a_kafka_without_an_authorizer_is_none_the_worse() -> None:
    kafka: Any = Kafka(authorizer=False)
    ensure_access(kafka, SETTINGS, deadline=1, grace=1)
