"""Whoever reads in the embedded Mongo server holds up nobody who writes, and an aggregate that writes is stored."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymongo
import pytest
from mongo_server import Server, server
from pymongo import MongoClient
from pymongo.errors import PyMongoError

__all__ = ["server"]

pytestmark = pytest.mark.timeout(240)

DOCUMENTS = 30_000
INSERTS = 500
#: Looks through all documents once for each of them, which takes minutes.
LONG = {"$lookup": {"from": "read", "localField": "number", "foreignField": "nothing", "as": "found"}}


@contextmanager
def reading(client: MongoClient[dict[str, Any]]) -> Iterator[threading.Thread]:
    """An aggregate goes on, until the server is killed."""

    def read() -> None:
        # Its connection breaks with the server.
        with pytest.raises(PyMongoError):
            list(client.test["read"].aggregate([LONG, {"$match": {"found": 1}}]))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield thread
    finally:
        client.close()
        thread.join()


def test_writes_are_answered_while_an_aggregate_goes_on(server: Server) -> None:
    with server.start() as client:
        client.test["read"].insert_many([{"number": number} for number in range(DOCUMENTS)])
        with reading(client) as reader:
            try:
                # Much longer than they take, and shorter than the aggregate.
                with pymongo.timeout(60):
                    for number in range(INSERTS):
                        client.test.written.insert_one({"_id": number})
                assert reader.is_alive(), "the aggregate is over: this proves nothing"
                assert client.test.written.count_documents({}) == INSERTS
            finally:
                server.end("KILL")


def test_what_an_aggregate_has_stored_outlives_the_server(server: Server) -> None:
    with server.start() as client:
        client.test.documents.insert_many([{"_id": number} for number in range(100)])
        list(client.test.documents.aggregate([{"$match": {"_id": {"$gte": 40}}}, {"$merge": "kept"}]))
        server.end("KILL")
    with server.start() as client:
        assert client.test.kept.count_documents({}) == 60
