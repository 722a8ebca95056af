"""From where in the topic a run is read, with a consumer made by hand. With a real Kafka it is tested elsewhere."""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from bluefleet.documents.settings import Settings
from bluefleet.documents.topic_run import CLOCKS_DIFFER, messages_of

END = 1000


class Topic:
    """One message a second from the epoch on, the first 100 of which have left."""

    def __init__(self, _: dict[str, Any]) -> None:
        self.next = 0

    def get_watermark_offsets(self, _: TopicPartition, **__: object) -> tuple[int, int]:
        return 100, END

    def offsets_for_times(self, partitions: list[TopicPartition], **__: object) -> list[TopicPartition]:
        (asked,) = partitions
        second = max(100, asked.offset // 1000)
        return [TopicPartition(asked.topic, 0, second if second < END else -1)]

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.next = partitions[0].offset

    def consume(self, _: int, **__: object) -> list[Any]:
        self.next += 1
        at = self.next - 1
        return [SimpleNamespace(error=lambda: None, offset=lambda: at, key=lambda: b"run", value=lambda: b"")]

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("since", "first"),
    [(CLOCKS_DIFFER + 700, 700), (5.0, 100), (CLOCKS_DIFFER + END, 100), (None, 100)],
    ids=["in the middle", "gone", "later than all that Kafka has", "nobody knows"],
)
def test_a_run_is_read_from_when_it_began(since: float | None, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bluefleet.documents.topic_run.Consumer", Topic)
    found = [offset for offset, _ in messages_of(Settings(), "run", since=since)]
    assert found == list(range(first, END))
