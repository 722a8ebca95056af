"""The loop of the sinks, with messages and a consumer made by hand. With a real Kafka it is tested elsewhere."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from bluefleet.documents import codec
from bluefleet.documents.consumer import Received, Rejected, SinkService
from bluefleet.documents.errors import Unavailable
from bluefleet.documents.listening import AWAY_AFTER, BROUGHT_AFTER
from bluefleet.documents.patience import Patience
from bluefleet.documents.settings import Settings


class Taking:
    """A sink that takes everything."""

    name = "taking"

    def prepare(self) -> None: ...

    def write(self, _batch: Sequence[Received], _patience: Patience) -> list[Rejected]:
        return []

    def __init__(self) -> None:
        self.held_at: int | None = None
        self.heard_until: list[float] = []

    def needed_from(self, next_offset: int) -> int:
        return next_offset if self.held_at is None else self.held_at

    def let_go(self, heard_until: float) -> bool:
        self.heard_until.append(heard_until)
        held, self.held_at = self.held_at, None
        return held is not None

    def problems(self) -> list[str]:
        return []


class Committing:
    """A consumer that has a committed offset, and takes commits without answering."""

    def __init__(self, committed: int) -> None:
        self.offset, self.asked = committed, list[int]()
        self.end, self.away = 0, False

    def list_topics(self, **_: object) -> object:
        return SimpleNamespace(topics={"lab.bluesky.documents": None})

    def committed(self, _: list[TopicPartition], **__: object) -> list[Any]:
        return [SimpleNamespace(offset=self.offset)]

    def assign(self, partitions: list[TopicPartition]) -> None: ...

    def get_watermark_offsets(self, _: TopicPartition, **__: object) -> tuple[int, int]:
        if self.away:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return 0, self.end

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous, "a commit that is waited for has no deadline"
        self.asked.append(offsets[0].offset)


@pytest.fixture
def service() -> Iterator[SinkService]:
    """A service that is not running."""
    made = SinkService(Taking(), Settings(status_port=18400), "taking")  # pyright: ignore[reportArgumentType] - what of it is used
    made._kafka_trouble = ""
    yield made
    made.status_server._server.server_close()


def receive(service: SinkService, *offsets: int, body: bytes = codec.encode("start", {"uid": "run"})) -> None:
    known = {"value": lambda: body, "key": lambda: b"run", "timestamp": lambda: (1, 1700000000000), "headers": list}
    messages = [SimpleNamespace(offset=lambda at=at: at, **known) for at in offsets]
    service._handle(messages)  # pyright: ignore[reportArgumentType] - as much of a message as is asked for


def test_documents_that_left_the_topic_unread_are_a_problem(service: SinkService) -> None:
    service._assign(Committing(10))  # pyright: ignore[reportArgumentType]
    receive(service, 10, 11)
    assert service.status()["ok"]
    receive(service, 15, 16)
    receive(service, 17, 20)
    assert service.status()["problems"] == [
        "documents 12-14 of lab.bluesky.documents were gone before they were stored",
        "documents 18-19 of lab.bluesky.documents were gone before they were stored",
    ]


def test_a_sink_that_begins_takes_the_topic_as_it_is(service: SinkService) -> None:
    service._assign(Committing(-1001))  # pyright: ignore[reportArgumentType]
    receive(service, 40, 41)
    assert service.status()["ok"]


def test_a_commit_is_not_waited_for_and_one_that_failed_is_made_again(service: SinkService) -> None:
    consumer: Any = Committing(0)
    service._assign(consumer)
    receive(service, 0)
    service._commit(consumer)
    service._commit(consumer)
    assert consumer.asked == [1]
    assert service.status()["committed"] == 0
    service._note_commit(KafkaError(KafkaError._TIMED_OUT), [])
    service._commit(consumer)
    assert consumer.asked == [1, 1]
    service._note_commit(None, [TopicPartition("lab.bluesky.documents", 0, 1)])
    assert service.status()["committed"] == 1


def test_a_client_that_was_given_up_and_hears_of_its_commits_later_says_nothing(service: SinkService) -> None:
    given_up, in_use = (service._consumer_settings()["on_commit"] for _ in range(2))
    receive(service, 0)
    service._asked = 1
    given_up(KafkaError(KafkaError._WAIT_COORD), [])
    assert (service._asked, service.status()["ok"]) == (1, True)
    in_use(KafkaError(KafkaError._WAIT_COORD), [])
    assert (service._asked, service.status()["ok"]) == (-1, False)


class Looks:
    """The service's looks at the topic's end, at times of the test's own."""

    def __init__(self, service: SinkService, monkeypatch: pytest.MonkeyPatch) -> None:
        self.service, self.consumer, self.now = service, Committing(0), 1000.0
        monkeypatch.setattr("bluefleet.documents.consumer.time.monotonic", lambda: self.now)
        service._assign(self.consumer)  # pyright: ignore[reportArgumentType]

    def look(self, at: float, *offsets: int) -> None:
        """Once, after these came."""
        self.now = at
        if offsets:
            receive(self.service, *offsets)
            self.service._commit(self.consumer)  # pyright: ignore[reportArgumentType]
        self.service._note_lag(self.consumer)  # pyright: ignore[reportArgumentType]

    def look_for(self, seconds: float) -> None:
        """Once a minute, with Kafka there all the time."""
        end = self.now + seconds
        while self.now < end:
            self.look(min(end, self.now + AWAY_AFTER))


@pytest.fixture
def looks(service: SinkService, monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(service, monkeypatch)


def test_a_run_is_silent_only_when_all_that_kafka_had_was_read(service: SinkService, looks: Looks) -> None:
    sink = service._sink
    assert isinstance(sink, Taking)
    sink.held_at, looks.consumer.end = 0, 3
    looks.look(1000.0, 0)
    looks.look_for(99_000.0)
    # The rest may be the run's.
    assert sink.heard_until == []
    heard_until = service._listening.seconds
    assert heard_until > 90_000.0
    looks.look(looks.now + 9, 1, 2)
    assert sink.heard_until == [heard_until]
    # And what was held is committed, though nothing new came.
    assert looks.consumer.asked == [3]


def test_time_in_which_kafka_was_away_and_forwarders_bring_what_waited_is_nobodys_silence(
    service: SinkService, looks: Looks
) -> None:
    looks.look(1000.0)
    looks.look_for(5000.0)
    heard = service._listening.seconds
    for days in range(1, 9):
        looks.consumer.away = True
        looks.look(looks.now + days * 86400.0)
    looks.consumer.away = False
    looks.look(looks.now + 3)
    looks.look_for(BROUGHT_AFTER)
    assert service._listening.seconds == heard > 4000.0
    looks.look_for(100.0)
    assert service._listening.seconds == heard + 100.0


class Silent(Committing):
    """A consumer that nothing comes from, of a Kafka that is away where it names no end."""

    def __init__(self, end: int | None, clock: SimpleNamespace) -> None:
        super().__init__(0)
        self.end, self.away, self.clock = end or 0, end is None, clock

    def consume(self, _: int, timeout: float) -> list[Any]:
        self.clock.now += timeout
        return []


@pytest.mark.parametrize(("end", "given_up"), [(None, True), (3, True), (0, False)], ids=["away", "stalled", "idle"])
def test_a_client_that_kafka_does_not_answer_is_given_up_for_a_new_one(
    service: SinkService, monkeypatch: pytest.MonkeyPatch, end: int | None, given_up: bool
) -> None:
    clock = SimpleNamespace(now=100.0)
    consumer = Silent(end, clock)

    def monotonic() -> float:
        if clock.now > 200.0:
            service.stop()
        return clock.now

    monkeypatch.setattr("bluefleet.documents.consumer.time.monotonic", monotonic)
    service._assign(consumer)  # pyright: ignore[reportArgumentType]
    service._consume(consumer)  # pyright: ignore[reportArgumentType]
    assert (clock.now < 130.0) == given_up


def test_that_kafka_sends_nothing_is_said_through_all_new_clients_until_something_comes(
    service: SinkService, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("bluefleet.documents.consumer.time.monotonic", lambda: clock.now)
    problem = "Kafka at kafka:9092 has more and sends nothing"
    for _ in range(2):
        consumer: Any = Silent(3, clock)
        service._assign(consumer)
        service._note_lag(consumer)
        service._consume(consumer)
        assert service.status()["problems"] == [problem]
    consumer = Silent(3, clock)
    service._assign(consumer)
    clock.now += 10
    service._note_lag(consumer)
    assert service.status()["problems"] == [problem]
    receive(service, 0, 1)
    assert service.status()["ok"]


@pytest.mark.parametrize(
    "body",
    [
        b"\xc1 not msgpack",
        msgpack.packb(["event", {"x": {b"nd": False, b"type": b"<f8,(", b"data": b""}}]),
        msgpack.packb(["event", {"x": {b"nd": False, b"type": b"<f8", b"data": b""}}]),
    ],
    ids=["no msgpack", "type that is no type", "array without data"],
)
def test_what_is_no_document_goes_to_dead_letters(service: SinkService, body: bytes) -> None:
    buried: list[int] = []
    service._dead = SimpleNamespace(send=lambda message, _: buried.append(message.offset()))  # pyright: ignore[reportAttributeAccessIssue]
    service._assign(Committing(0))  # pyright: ignore[reportArgumentType]
    receive(service, 0, body=body)
    receive(service, 1)
    assert buried == [0]
    assert (service.status()["position"], service.status()["rejected"]) == (2, 1)


def test_dead_letters_that_kafka_did_not_take_are_sent_by_a_new_producer(
    service: SinkService, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    sent: list[int] = []

    class Letters:
        """Those made first reach nobody."""

        def __init__(self, _: Settings, sink: str) -> None:
            made.append(self)
            assert sink == "taking"

        def send(self, message: Any, _: str) -> None:
            if self is made[0]:
                raise Unavailable("dead letters of taking: no answer from Kafka")
            sent.append(message.offset())

    monkeypatch.setattr("bluefleet.documents.consumer.DeadLetters", Letters)
    service._assign(Committing(0))  # pyright: ignore[reportArgumentType]
    receive(service, 0, 1, body=b"\xc1 not msgpack")
    assert (len(made), sent) == (2, [0, 1])


def test_how_long_the_oldest_document_waits_is_said(service: SinkService, monkeypatch: pytest.MonkeyPatch) -> None:
    service._assign(Committing(0))  # pyright: ignore[reportArgumentType]
    seen: list[float] = []

    def write(_batch: Sequence[Received], _patience: Patience) -> list[Rejected]:
        seen.append(service.status()["oldest_age"])
        return []

    monkeypatch.setattr(service._sink, "write", write)
    receive(service, 0)
    assert seen[0] > 1e6
    assert service.status()["oldest_age"] == 0.0
