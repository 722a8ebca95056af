"""The embedded Mongo server of the project's image, alone, with a volume of its own."""

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

DEADLINE = 30.0


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

    def store_by_the_stock_back_end(self, documents: Path, script: str) -> None:
        """Run a Python script with /documents beside the server that mongo-java-server brings, on the same file."""
        java = ["--volume", f"{self.name}:/var/lib/mongo", "--entrypoint", "java", self.images["mongo"]]
        stock = ["-cp", "/opt/mongo/jars/*", "de.bwaldvogel.mongo.H2MongoServer", "/var/lib/mongo/documents.mv"]
        docker("run", "--detach", "--name", self.name, *java, *stock)
        beside = ["--network", f"container:{self.name}", "--volume", f"{documents}:/documents:ro"]
        docker("run", "--rm", *beside, "--entrypoint", "python", self.images["tiled"], "-c", script)
        self.end("TERM")

    def end(self, signal: str) -> int:
        """End the server with a signal; returns its exit code."""
        docker("kill", "--signal", signal, self.name)
        code = int(docker("wait", self.name))
        docker("rm", self.name)
        return code

    def file_has(self, text: str) -> bool:
        """Whether the stopped server's file has these bytes anywhere."""
        there = ["--volume", f"{self.name}:/var/lib/mongo:ro", "--entrypoint", "sh", self.images["mongo"]]
        look = f"grep -aqF '{text}' /var/lib/mongo/documents.mv && echo yes || echo no"
        return docker("run", "--rm", *there, "-c", look) == "yes"

    def remove(self) -> None:
        subprocess.run(["docker", "rm", "--force", self.name], capture_output=True, timeout=DEADLINE, check=False)
        docker("volume", "rm", self.name)


@pytest.fixture
def server(images: dict[str, str]) -> Iterator[Server]:
    """A server that nothing is left of afterwards."""
    made = Server(images)
    yield made
    made.remove()
