"""What the Mongo sink makes of a server's refusals. Storing itself is tested with a real server."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, BulkWriteError, OperationFailure

from bluefleet.documents import patience as waiting
from bluefleet.documents.consumer import Received, Rejected
from bluefleet.documents.mongo_sink import PROBE, MongoSink
from bluefleet.documents.patience import Patience
from bluefleet.documents.settings import MongoSettings


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(waiting, "LONGEST_PAUSE", 0.002)


class Database(dict[str, "Database"]):
    """A collection for every name; what is inserted goes to `answer`, which may raise."""

    def __init__(self, answer: Callable[[list[dict[str, Any]]], None], probe: Callable[[], None]) -> None:
        super().__init__()
        self.answer, self.probe, self.found = answer, probe, dict[str, Any]()

    def __missing__(self, name: str) -> "Database":
        self[name] = made = Database(self.answer, self.probe)
        return made

    def insert_many(self, documents: list[dict[str, Any]], **_: object) -> None:
        self.answer(documents)

    def replace_one(self, _: object, document: dict[str, Any], **__: object) -> None:
        self.probe()
        self.found = document

    def find_one(self, *_: object) -> dict[str, Any]:
        return self.found


def write(
    answer: Callable[[list[dict[str, Any]]], None], probe: Callable[[], None] = lambda: None, **more: object
) -> list[Rejected]:
    """What becomes of two start documents, the second with `more` in it."""
    sink = MongoSink(MongoSettings(mongo_uri="mongodb://127.0.0.1:9"))
    sink._database.client.close()
    sink._database = Database(answer, probe)  # pyright: ignore[reportAttributeAccessIssue] - what of it is used
    batch = [Received(offset, "run", "start", {"uid": str(offset), "time": 0.0}) for offset in (7, 8)]
    batch[1].document.update(more)
    return sink.write(batch, Patience(threading.Event()))


class Failing:
    """Fails so many times."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left, self.error = times, error

    def __call__(self, *_: object) -> None:
        self.left -= 1
        if self.left >= 0:
            raise self.error


def refused(code: int, index: int = 0) -> BulkWriteError:
    return BulkWriteError({"writeErrors": [{"index": index, "code": code, "errmsg": "as told"}]})


def test_a_server_that_refuses_everything_makes_no_document_poison() -> None:
    error = OperationFailure("no space left on device")
    assert write(Failing(30, error), Failing(20, error)) == []


@pytest.mark.parametrize("code", [1, 8, 91, 11600, 14031])
def test_no_disk_and_shutting_down_are_waited_for(code: int) -> None:
    assert write(Failing(3, refused(code))) == []


def test_a_document_with_a_fault_of_its_own_is_rejected_at_once() -> None:
    assert [item.offset for item in write(Failing(10**6, refused(57, index=1)))] == [8]


def test_a_document_that_is_refused_while_others_are_stored_is_rejected_alone() -> None:
    def answer(documents: list[dict[str, Any]]) -> None:
        if any(document["uid"] == "8" for document in documents):
            raise OperationFailure("as told")

    assert [item.offset for item in write(answer)] == [8]


def nested(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


@pytest.mark.parametrize("depth", [900, 400], ids=["to be taken apart", "to be compared"])
def test_a_document_that_is_nested_too_deep_is_rejected_alone(depth: int) -> None:
    def there_already(documents: list[dict[str, Any]]) -> None:
        for index, document in enumerate(documents):
            if document["uid"] == "8":
                raise refused(11000, index)

    assert [item.offset for item in write(there_already, x=nested(depth))] == [8]


def test_a_connection_that_breaks_while_a_duplicate_is_looked_at_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look = Failing(1, AutoReconnect("gone"))
    monkeypatch.setattr(MongoSink, "_is_same", lambda *_: look() is None)
    assert write(Failing(2, refused(11000))) == []


def test_what_is_answered_is_in_the_journal() -> None:
    sink = MongoSink(MongoSettings(mongo_uri="mongodb://127.0.0.1:9"))
    assert sink._database[PROBE].write_concern.document == {"j": True}
    sink._database.client.close()
