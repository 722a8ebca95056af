"""The embedded Mongo server answers a write only once it is stored: killing it forgets nothing it acknowledged."""

import threading
import time
import uuid
from typing import Any

import pytest
from mongo_server import DEADLINE, Server, server
from pymongo import MongoClient
from pymongo.errors import PyMongoError

__all__ = ["server"]

WRITING = 2.0
ROUNDS = 2
WRITERS = 3

# A second try would hide what is lost once in a while.
pytestmark = [pytest.mark.timeout(180), pytest.mark.flaky(reruns=0)]


def acknowledged_until_killed(server: Server, client: MongoClient[dict[str, Any]]) -> set[str]:
    """What writers were told is stored before the server was killed under them."""
    acknowledged: set[str] = set()

    def write(writer: str) -> None:
        number = 0
        while True:
            document = {"_id": f"{writer}-{number}", "text": "x" * 200}
            try:
                client.test.documents.insert_one(document)
            except PyMongoError:
                return
            acknowledged.add(document["_id"])
            number += 1

    writers = [threading.Thread(target=write, args=(uuid.uuid4().hex[:8],)) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    time.sleep(WRITING)
    server.end("KILL")
    # Writers in the middle of a write find out now; those that look for the server again must not wait for long.
    client.close()
    for writer in writers:
        writer.join(DEADLINE)
    assert acknowledged, "nothing was written: this proves nothing"
    return acknowledged


def test_a_killed_server_forgets_nothing_it_acknowledged(server: Server) -> None:
    acknowledged: set[str] = set()
    for _ in range(ROUNDS):
        acknowledged |= acknowledged_until_killed(server, server.start())
    with server.start() as client:
        stored = {document["_id"] for document in client.test.documents.find({}, {"_id": 1})}
    assert acknowledged - stored == set()


def test_a_stopped_server_ends_by_itself_and_has_everything(server: Server) -> None:
    with server.start() as client:
        client.test.documents.insert_many([{"_id": str(number)} for number in range(500)])
    # 143: a Java machine that ended because it was asked to; 137 would be a kill.
    assert server.end("TERM") == 143
    with server.start() as client:
        assert client.test.documents.count_documents({}) == 500
