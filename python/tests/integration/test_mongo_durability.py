"""The embedded Mongo server answers a write only once it is stored: killing it forgets nothing it acknowledged.

Nor does it lose what the back end that it is built on has stored in that one's own way.
"""

import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError, PyMongoError

DEADLINE = 30.0
WRITING = 2.0
ROUNDS = 2
WRITERS = 3
#: What a document may be known by: texts of every length in one byte a character and in several, and what is no text.
KEYS = """[
    *("".join(chr(97 + (length * 7 + place * place) % 26) for place in range(length)) for length in range(300)),
    *(f"run {number:x}" for number in range(1, 6000, 17)), *(chr(number) * 3 for number in range(0, 2000, 31)),
    "x" * 70000, "x" * 70001, *range(-50, 50), 0.5, -0.5, True, None, {"a": 1}, {"a": 2},
    *(ObjectId(f"{number * 0x10305070B0D % 2**96:024x}") for number in range(200)),
]"""
STORE_THEM = f"""
import time
from bson import ObjectId
from pymongo import MongoClient
documents = MongoClient("127.0.0.1", serverSelectionTimeoutMS=20000).test.documents
documents.create_index("uid", unique=True)
documents.insert_many([{{"uid": key, "data": [key, {{"of": key}}]}} for key in {KEYS}])
"""

pytestmark = pytest.mark.timeout(180)


def docker(*arguments: str) -> str:
    """What a docker command says; one that fails fails the test with what it says then."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


class Server:
    """The mongo image with a volume of its own on a free port of this machine."""

    def __init__(self, images: dict[str, str]) -> None:
        self.images = images
        self.name = f"bluefleet-test-{uuid.uuid4().hex[:8]}"
        docker("volume", "create", self.name)

    def start(self) -> MongoClient[dict[str, Any]]:
        """Run the server on its volume and return a client once it answers."""
        where = ["--publish", "127.0.0.1::27017", "--volume", f"{self.name}:/var/lib/mongo"]
        docker("run", "--detach", "--name", self.name, *where, self.images["mongo"])
        port = docker("port", self.name, "27017/tcp").rpartition(":")[2]
        client = MongoClient[dict[str, Any]]("127.0.0.1", int(port), serverSelectionTimeoutMS=int(DEADLINE * 1000))
        client.admin.command("ping")
        return client

    def store_by_the_stock_back_end(self, script: str) -> None:
        """Run a Python script beside the server that mongo-java-server brings, on the same file."""
        java = ["--volume", f"{self.name}:/var/lib/mongo", "--entrypoint", "java", self.images["mongo"]]
        stock = ["-cp", "/opt/mongo/jars/*", "de.bwaldvogel.mongo.H2MongoServer", "/var/lib/mongo/documents.mv"]
        docker("run", "--detach", "--name", self.name, *java, *stock)
        beside = ["--network", f"container:{self.name}", "--entrypoint", "python", self.images["tiled"]]
        docker("run", "--rm", *beside, "-c", script)
        self.end("TERM")

    def end(self, signal: str) -> int:
        """End the server with a signal; returns its exit code."""
        docker("kill", "--signal", signal, self.name)
        code = int(docker("wait", self.name))
        docker("rm", self.name)
        return code

    def remove(self) -> None:
        subprocess.run(["docker", "rm", "--force", self.name], capture_output=True, timeout=DEADLINE, check=False)
        docker("volume", "rm", self.name)


@pytest.fixture
def server(images: dict[str, str]) -> Iterator[Server]:
    """A server that nothing is left of afterwards."""
    made = Server(images)
    yield made
    made.remove()


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


def test_a_file_of_the_stock_back_end_is_gone_on_with(server: Server) -> None:
    keys: list[Any] = eval(KEYS, {"ObjectId": ObjectId})  # noqa: S307 - ours, above
    server.store_by_the_stock_back_end(STORE_THEM)
    with server.start() as client:
        documents = client.test.documents
        for key in keys:
            assert documents.find_one({"uid": key}, {"_id": False}) == {"uid": key, "data": [key, {"of": key}]}
            with pytest.raises(DuplicateKeyError):
                documents.insert_one({"uid": key})
        documents.insert_many([{"uid": f"new {number}"} for number in range(1000)])
        documents.delete_many({"uid": {"$in": keys[::2]}})
    server.end("TERM")
    with server.start() as client:
        documents = client.test.documents
        kept = [*keys[1::2], *(f"new {number}" for number in range(1000))]
        assert documents.count_documents({}) == len(kept)
        assert [key for key in kept if documents.find_one({"uid": key}) is None] == []
        documents.insert_many([{"uid": key} for key in keys[::2]])
