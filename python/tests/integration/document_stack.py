"""The whole document path in containers of the project's own images: Kafka, forwarder, Mongo, Tiled and both sinks.

On a network of its own, wired as the pods are: the sinks reach Kafka over TLS with a login, everything else is internal.
The services run this tree's source on top of the images' libraries, so that a change shows without building images.
"""

import random
import re
import socket
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from bluefleet.documents.errors import DocumentError
from bluefleet.documents.settings import ForwarderSettings, ListenerSettings
from bluefleet.documents.verify import Place, Verdict, Verifier
from patience import PATIENCE, ends_in
from tls_front import Authority

REPOSITORY = Path(__file__).resolve().parents[3]
SOURCE = REPOSITORY / "python" / "src"
SITE = "test"
API_KEY = "akeyfortests"
PASSWORDS = {"sink": "a sink's password", "listener": "a listener's password", "terminal": "a terminal's password"}
IMAGES = ("bluesky", "ioc", "jupyter", "kafka", "mongo", "nginx", "redis", "screens", "tiled")

KAFKA = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:9094
listeners=INTERNAL://:9092,EDGE://:9093,CONTROLLER://localhost:9094
advertised.listeners=INTERNAL://{address}:9092,EDGE://{address}:9093
listener.security.protocol.map=INTERNAL:PLAINTEXT,EDGE:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INTERNAL
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=PLAIN
listener.name.edge.sasl.enabled.mechanisms=PLAIN
listener.name.edge.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
  {users};
listener.name.edge.ssl.keystore.type=PEM
listener.name.edge.ssl.keystore.location=/etc/kafka/keystore.pem
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=false
log.dirs=/var/lib/kafka/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.initial.task.delay.ms=200
log.flush.offset.checkpoint.interval.ms=200
"""
TILED = """
expose_raw_assets: false
authentication: {{allow_anonymous_access: false, single_user_api_key: {key}}}
trees:
  - path: /runs
    tree: catalog
    args:
      uri: sqlite:////tmp/catalog.db
      init_if_not_exists: true
      writable_storage: ["file://localhost/tmp/files", "duckdb:////tmp/tables.duckdb"]
  - path: /mongo
    tree: bluefleet.documents.mongo_tree:MongoTree.from_uri
    args: {{uri: "mongodb://mongo:27017/{site}-bluesky-documents"}}
"""


def docker(*arguments: str) -> str:
    """What `docker …` prints."""
    done = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


@dataclass
class Stack:
    """The path while it runs."""

    name: str
    folder: Path
    #: Services whose data outlive their containers, with where these have them: in the volume <name>-<service>.
    kept: Mapping[str, str] = field(default_factory=dict[str, str])
    addresses: dict[str, str] = field(default_factory=dict[str, str])
    started: list[str] = field(default_factory=list[str])

    @property
    def spool(self) -> Path:
        """The folder of spools, shared with the forwarder as on the manager."""
        return self.folder / "spool"

    @property
    def internal(self) -> ForwarderSettings:
        """Settings of who is inside the pod."""
        return ForwarderSettings(site=SITE, kafka_bootstrap=f"{self.addresses['kafka']}:9092", spool_dir=self.spool)

    def outside(self, user: str, password: str | None = None) -> ListenerSettings:
        """Settings of who comes from outside."""
        file = self.folder / f"{user}-{uuid.uuid4().hex[:4]}"
        file.write_text(password or PASSWORDS[user])
        return ListenerSettings(
            site=SITE,
            kafka_bootstrap=f"{self.addresses['kafka']}:9093",
            kafka_ca_file=self.folder / "ca" / "site.crt",
            kafka_username=user,
            kafka_password_file=file,
        )

    def verify(self, run: str, wait: float = 60 * PATIENCE) -> Verdict:
        """Whether the run is equal everywhere."""
        forwarder, mongo, tiled = (
            f"http://{self.addresses[name]}:8400" for name in ("forwarder", "mongo-sink", "tiled-sink")
        )
        places = [
            Place("spool", f"{forwarder}/runs"),
            Place("kafka", f"{forwarder}/kafka"),
            Place("mongo", f"{mongo}/runs"),
            Place("tiled", f"{tiled}/runs"),
        ]
        indexes = [
            Place(name, f"{url}/named") for name, url in (("spool", forwarder), ("mongo", mongo), ("tiled", tiled))
        ]
        verifier = Verifier(places, None, indexes=indexes, topic=Place("kafka", f"{forwarder}/started"))
        return verifier.verify(run, wait=wait)

    def run(self, service: str, image: str, *arguments: str, options: tuple[str, ...] = ()) -> str:
        """Start a container; its name."""
        name = f"{self.name}-{service}"
        self.started.append(name)
        if service in self.kept:
            options = (*options, "--volume", f"{name}:{self.kept[service]}")
        docker(
            "run", "--detach", "--name", name, "--network", self.name, "--network-alias", service, "--init",
            "--volume", f"{SOURCE}:/source:ro", "--env", "PYTHONPATH=/source", "--env", "PYTHONDONTWRITEBYTECODE=1",
            *options, image, *arguments,
        )  # fmt: skip
        self._look_up(service)
        return name

    def restart(self, service: str, *, away: float = 1.0) -> None:
        """Kill -9 a service, and start it again some seconds later."""
        docker("kill", f"{self.name}-{service}")
        time.sleep(away)
        self.start(service)

    def stop(self, *services: str) -> None:
        """Stop services as Compose does, with a term that each keeps well."""
        docker("stop", "--time", "30", *(f"{self.name}-{service}" for service in services))

    def start(self, *services: str) -> None:
        """Start services that were stopped or killed, each when the one before has its address."""
        for service in services:
            docker("start", f"{self.name}-{service}")
            self._look_up(service)

    def _look_up(self, service: str) -> None:
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        self.addresses[service] = docker("inspect", "--format", form, f"{self.name}-{service}")


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """The condition's first true value; fails when it takes too long."""
    deadline = ends_in(seconds)
    last = ""
    while time.monotonic() < deadline:
        try:
            found = condition()
        except (OSError, DocumentError, AssertionError, KeyError, httpx.TransportError) as error:
            last = str(error)
        else:
            if found:
                return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds * PATIENCE:g} s ({last})")


def listens(address: str, port: int) -> Callable[[], bool]:
    """Whether something takes connections there."""

    def ask() -> bool:
        socket.create_connection((address, port), timeout=2).close()
        return True

    return ask


def answers(url: str) -> Callable[[], bool]:
    """Whether something answers there."""

    def ask() -> bool:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - http, see the callers
            return answer.status == 200

    return ask


def images_of_this_tree() -> dict[str, str]:
    """Those on this engine, by name; built if they are not there yet. Another tree's may be there as well, and newer."""
    command = [".venv/bin/ansible-playbook", "playbooks/build_images.yml", "-e", "build_images_wait=true"]
    told = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    found = {name: f"bluefleet/{name}:{tag}" for name, tag in re.findall(r"bluefleet/([a-z-]+):([0-9a-f]{12})", told)}
    assert found.keys() >= set(IMAGES), told
    return found


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """This tree's."""
    return images_of_this_tree()


@pytest.fixture(scope="session")
def stack(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The document path, up; removed at the end, but for the logs of all in its folder."""
    with running(Stack(f"bluefleet-test-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("path")), images) as found:
        yield found


@contextmanager
def running(found: Stack, images: dict[str, str]) -> Iterator[Stack]:
    """It is up; removed at the end, but for the logs of all in its folder."""
    make_network(found.name)
    try:
        start(found, images)
        yield found
    finally:
        for name in found.started:
            with (found.folder / f"{name}.log").open("w") as file:
                subprocess.run(["docker", "logs", name], check=False, stdout=file, stderr=subprocess.STDOUT)
        if found.started:
            docker("rm", "--force", "--volumes", *found.started)
        docker("network", "rm", found.name)
        for service in found.kept:
            docker("volume", "rm", "--force", f"{found.name}-{service}")


def start(stack: Stack, images: dict[str, str]) -> None:
    """Start everything and wait until it answers."""
    stack.folder.chmod(0o755)
    stack.spool.mkdir()
    etc = stack.folder / "etc"
    etc.mkdir()
    (etc / "tiled.yml").write_text(TILED.format(key=f'"{API_KEY}"', site=SITE))
    (etc / "tiled_api_key").write_text(API_KEY)
    (etc / "sink_password").write_text(PASSWORDS["sink"])
    stack.run("mongo", images["mongo"])
    start_kafka(stack, images["kafka"])
    # Tiled's Mongo tree connects when it starts.
    wait_for(listens(stack.addresses["mongo"], 27017), "Mongo", 60)
    serve = ("bluefleet.documents.tiled_server", "serve", "config", "/etc/test/tiled.yml")
    stack.run("tiled", images["tiled"], "python", "-m", *serve, "--host", "0.0.0.0",  # noqa: S104 - in a container
              options=("--volume", f"{etc}:/etc/test:ro"))  # fmt: skip
    # As root, for these tests write spools as who they are.
    forwarder = {"BLUEFLEET_KAFKA_BOOTSTRAP": f"{stack.addresses['kafka']}:9092"}
    stack.run("forwarder", images["bluesky"], "python", "-m", "bluefleet.documents.forwarder",
              options=("--user", "0:0", "--volume", f"{stack.spool}:/spool", *environment(forwarder)))  # fmt: skip
    for sink in ("mongo", "tiled"):
        stack.run(f"{sink}-sink", images["tiled"], "python", "-m", f"bluefleet.documents.{sink}_sink",
                  options=sink_options(stack))  # fmt: skip
    wait_for(answers(f"http://{stack.addresses['tiled']}:8000/healthz"), "Tiled", 90)
    for service in ("forwarder", "mongo-sink", "tiled-sink"):
        wait_for(answers(f"http://{stack.addresses[service]}:8400/healthz"), service, 90)


def sink_options(stack: Stack) -> tuple[str, ...]:
    """Of the container of a sink, which comes to Kafka from outside."""
    outside = {
        "BLUEFLEET_KAFKA_BOOTSTRAP": f"{stack.addresses['kafka']}:9093",
        "BLUEFLEET_KAFKA_CA_FILE": "/ca/site.crt",
        "BLUEFLEET_KAFKA_USERNAME": "sink",
        "BLUEFLEET_KAFKA_PASSWORD_FILE": "/etc/test/sink_password",
        "BLUEFLEET_TILED_URI": "http://tiled:8000/api/v1/metadata/runs",
        "BLUEFLEET_TILED_API_KEY_FILE": "/etc/test/tiled_api_key",
        "BLUEFLEET_FRAMES_FOLDERS": "/data",
    }
    volumes = ("--volume", f"{stack.folder / 'etc'}:/etc/test:ro", "--volume", f"{stack.folder / 'ca'}:/ca:ro")
    return (*volumes, *environment(outside))


def make_network(name: str) -> None:
    """A network with a subnet that we choose: Kafka needs an address that it knows before it starts."""
    for third in random.sample(range(100, 250), 20):
        done = subprocess.run(
            ["docker", "network", "create", "--subnet", f"10.253.{third}.0/24", name], check=False, capture_output=True
        )
        if done.returncode == 0:
            return
    raise AssertionError(f"no free subnet in 10.253.0.0/16: {done.stderr!r}")


def start_kafka(stack: Stack, image: str) -> None:
    """Kafka, which names its own address in what it answers."""
    etc = stack.folder / "kafka"
    etc.mkdir()
    subnet = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", stack.name)
    address = f"{subnet.rpartition('.')[0]}.200"
    authority = Authority(stack.folder / "ca", "site")
    authority.sign(stack.folder / "ca" / "kafka", [address])
    key, certificate = (stack.folder / "ca" / f"kafka.{kind}" for kind in ("key", "crt"))
    (etc / "keystore.pem").write_bytes(key.read_bytes() + certificate.read_bytes())
    users = " \\\n  ".join(f'user_{user}="{password}"' for user, password in PASSWORDS.items())
    (etc / "server.properties").write_text(KAFKA.format(address=address, users=users))
    for file in (*etc.iterdir(), *(stack.folder / "ca").iterdir()):
        file.chmod(0o644)
    # It lives for minutes, too short to win back what the second compiler takes of the processors.
    java = ("--env", "KAFKA_HEAP_OPTS=-Xmx384m -Xms384m -XX:TieredStopAtLevel=1")
    stack.run("kafka", image, options=("--ip", address, "--volume", f"{etc}:/etc/kafka:ro", *java))


def environment(values: dict[str, str]) -> list[str]:
    """As options of docker."""
    every = {"BLUEFLEET_SITE": SITE, "BLUEFLEET_STATUS_PORT": "8400", "BLUEFLEET_MONGO_URI": "mongodb://mongo:27017"}
    return [option for name, value in (every | values).items() for option in ("--env", f"{name}={value}")]
