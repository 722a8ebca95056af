"""Adaptive scans with a real Kafka, Redis, forwarder and recommender service: documents out, recommendations back."""

from __future__ import annotations

import hashlib
import json
import urllib.request
import uuid
from asyncio import run
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from bluesky import RunEngine
from confluent_kafka import Producer
from document_stack import (
    REPOSITORY,
    SITE,
    Stack,
    docker,
    environment,
    listens,
    make_network,
    start_kafka,
    wait_for,
)
from jinja2 import Environment
from redis import Redis, asyncio
from redis.exceptions import NoPermissionError

from bluefleet.acquisition.adaptive.ends import FromRecommender, ToRecommender
from bluefleet.acquisition.adaptive.errors import RecommenderFailed, RecommenderSilent
from bluefleet.acquisition.adaptive.mailbox import Mailbox
from bluefleet.acquisition.adaptive.plan import adaptive_plan
from bluefleet.acquisition.redis_client import redis_client
from bluefleet.documents import Publisher, Spool
from bluefleet.documents.kafka import client_settings
from patience import PATIENCE

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("default")]

SECRETS = {
    "redis_password": "aworkerspassword",
    "redis_recommender_password": "arecommenderspassword",
    "redis_terminal_password": "aterminalspassword",
}


class Site:
    """The services that adaptive scans need, and workers."""

    def __init__(self, stack: Stack, images: dict[str, str]) -> None:
        self.stack = stack
        self.images = images
        self._workers: dict[str, RunEngine] = {}
        self._spools: list[Spool] = []

    def start(self) -> None:
        """All but the recommender."""
        stack = self.stack
        stack.folder.chmod(0o755)
        stack.spool.mkdir()
        etc = stack.folder / "etc"
        etc.mkdir()
        template = (REPOSITORY / "roles/acquisition/templates/redis.conf.j2").read_text()
        surroundings = Environment(autoescape=False)  # noqa: S701 - no HTML
        surroundings.globals["lookup"] = lambda _kind, path: SECRETS[Path(path).name]
        surroundings.filters["hash"] = lambda text, kind: hashlib.new(kind, text.encode()).hexdigest()
        text = surroundings.from_string(template).render(site_secrets_dir="/secrets", site_name=SITE)
        (etc / "redis.conf").write_text(text)
        (etc / "password").write_text(SECRETS["redis_recommender_password"])
        stack.run("redis", self.images["redis"], options=("--volume", f"{etc}:/etc/redis:ro"))
        start_kafka(stack, self.images["kafka"])
        forwarder = {"BLUEFLEET_KAFKA_BOOTSTRAP": self.stack.internal.kafka_bootstrap}
        stack.run("forwarder", self.images["bluesky"], "python", "-m", "bluefleet.documents.forwarder",
                  options=("--user", "0:0", "--volume", f"{stack.spool}:/spool", *environment(forwarder)))  # fmt: skip
        wait_for(listens(stack.addresses["redis"], 6379), "Redis")

    def start_recommender(self) -> None:
        settings = {
            "BLUEFLEET_KAFKA_BOOTSTRAP": self.stack.internal.kafka_bootstrap,
            "BLUEFLEET_REDIS_ADDRESS": "redis:6379",
            "BLUEFLEET_REDIS_USERNAME": "recommender",
            "BLUEFLEET_REDIS_PASSWORD_FILE": "/etc/test/password",
        }
        volume = ("--volume", f"{self.stack.folder / 'etc'}:/etc/test:ro")
        command = ("python", "-m", "bluefleet.acquisition.adaptive.service")
        self.stack.run("recommender", self.images["bluesky"], *command, options=(*volume, *environment(settings)))

    def status(self) -> dict[str, Any]:
        url = f"http://{self.stack.addresses['recommender']}:8400/status"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)

    def worker(self, name: str) -> RunEngine:
        """A RunEngine with a spool."""
        if name not in self._workers:
            spool = Spool(self.stack.spool, writer=name)
            self._spools.append(spool)
            engine = self._workers[name] = RunEngine(context_managers=[])
            engine.subscribe(Publisher(spool))
        return self._workers[name]

    def from_recommender(self) -> FromRecommender:
        client = redis_client(
            f"{self.stack.addresses['redis']}:6379", SECRETS["redis_password"], deadline=2, patient=False
        )
        return FromRecommender(Mailbox(client, SITE))

    def measure(
        self, to: ToRecommender, *, worker: str = "worker", deadline: float = 60, on_start: Any = None
    ) -> list[float]:
        """Run a campaign; the positions of its runs."""
        from ophyd import sim

        motor = sim.SynAxis(name="motor")
        det = sim.SynGauss("det", motor, "motor", center=3, Imax=1, sigma=1)
        positions: list[float] = []

        def look(name: str, document: dict[str, Any]) -> None:
            if name == "start" and on_start is not None:
                on_start(document)
            if name == "event":
                positions.append(document["data"]["motor"])

        plan = adaptive_plan(
            [det], {motor: 0}, to_recommender=to, from_recommender=self.from_recommender(), deadline=deadline
        )
        self.worker(worker)(plan, look)
        return positions

    def close(self) -> None:
        for spool in self._spools:
            spool.close()


@pytest.fixture(scope="module")
def site(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The services, up."""
    stack = Stack(f"bluefleet-test-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("adaptive"))
    made = Site(stack, images)
    make_network(stack.name)
    try:
        made.start()
        yield made
    finally:
        made.close()
        for name in stack.started:
            (stack.folder / f"{name}.log").write_text(docker("logs", name))
        if stack.started:
            docker("rm", "--force", "--volumes", *stack.started)
        docker("network", "rm", stack.name)


STEPS = [1.5 * number for number in range(17)]


def test_the_first_campaign_on_an_empty_kafka_takes_17_runs_though_the_recommender_comes_after_it(site: Site) -> None:
    def begun(start: dict[str, Any]) -> None:
        if start["batch_count"] == 0:
            site.start_recommender()

    assert site.measure(ToRecommender(), on_start=begun, deadline=120) == STEPS
    said = wait_for(lambda: (found := site.status())["lag"] == 0 and found, "all documents read")
    assert said["problems"] == []
    assert [campaign["answered"] for campaign in said["campaigns"]] == [17]


def test_two_campaigns_at_once_do_not_mix(site: Site) -> None:
    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(site.measure, ToRecommender(), worker="worker")
        two = threads.submit(site.measure, ToRecommender("step", {"step": -2}, 9), worker="terminal")
        assert (one.result(), two.result()) == (STEPS, [-2.0 * number for number in range(9)])


def test_a_recommender_that_is_killed_in_the_middle_and_started_again_goes_on(site: Site) -> None:
    def killed(start: dict[str, Any]) -> None:
        if start["batch_count"] == 5:
            site.stack.restart("recommender")

    assert site.measure(ToRecommender(), on_start=killed) == STEPS


def test_a_recommender_that_stays_dead_ends_the_plan_after_its_deadline_with_what_to_do(site: Site) -> None:
    def killed(start: dict[str, Any]) -> None:
        if start["batch_count"] == 2:
            docker("kill", f"{site.stack.name}-recommender")

    try:
        with pytest.raises(RecommenderSilent, match=r"after run 2 of campaign .* within 3 s: .*bluefleet status"):
            site.measure(ToRecommender(), on_start=killed, deadline=3)
    finally:
        site.stack.start("recommender")
    # And the next campaign is answered by the one that came back.
    assert site.measure(ToRecommender(runs=2)) == STEPS[:2]


def test_bytes_that_are_no_document_and_a_campaign_that_makes_no_sense_stop_nobody(site: Site) -> None:
    producer = Producer(client_settings(site.stack.internal))
    producer.produce(site.stack.internal.topic, key=b"x", value=b"no document")
    assert producer.flush(10) == 0
    assert site.measure(ToRecommender(runs=3)) == STEPS[:3]
    assert site.status()["rejected"] == 0, "dead letters are the sinks' business"


def test_redis_that_is_restarted_in_the_middle_costs_nothing(site: Site) -> None:
    def restarted(start: dict[str, Any]) -> None:
        if start["batch_count"] == 2:
            docker("restart", "--time", "5", f"{site.stack.name}-redis")
            site.stack._look_up("redis")

    assert site.measure(ToRecommender(runs=4), on_start=restarted) == STEPS[:4]


def test_a_mistake_of_a_recommender_ends_its_plan_at_once_with_the_reason(site: Site) -> None:
    # What the plan can't see beforehand: there is no such field.
    to = ToRecommender("gaussian-process", {"bounds": {"motor": [-5, 5]}, "objective": "dett"})
    with pytest.raises(RecommenderFailed, match="no field 'dett' was read; there are det, motor"):
        site.measure(to, deadline=60)


def test_recommenders_see_nothing_of_redis_but_campaigns(site: Site) -> None:
    client = Redis(
        host=site.stack.addresses["redis"],
        username="recommender",
        password=SECRETS["redis_recommender_password"],
        protocol=2,
        socket_timeout=10 * PATIENCE,
    )
    with client:
        assert client.get(f"{SITE}:adaptive:none:answer:0") is None
        for forbidden in (lambda: client.get("qs_plan_queue"), lambda: client.keys("*"), client.flushall):
            with pytest.raises(NoPermissionError):
                forbidden()


@pytest.mark.parametrize("user", ["recommender", "terminal"])
@pytest.mark.parametrize("protocol", [2, 3])
def test_who_shares_a_part_of_redis_cannot_stop_it_for_others(site: Site, user: str, protocol: int) -> None:
    client = Redis(
        host=site.stack.addresses["redis"],
        username=user,
        password=SECRETS[f"redis_{user}_password"],
        protocol=protocol,
        client_name="somebody",
        socket_timeout=10 * PATIENCE,
    )
    with client:
        assert client.ping()
        for forbidden in (("PAUSE", 1, "ALL"), ("LIST",), ("KILL", "TYPE", "normal", "SKIPME", "yes"), ("UNPAUSE",)):
            with pytest.raises(NoPermissionError):
                client.execute_command("CLIENT", *forbidden)


def test_a_client_that_works_in_a_loop_may_connect(site: Site) -> None:
    async def asked() -> object:
        address, password = site.stack.addresses["redis"], SECRETS["redis_terminal_password"]
        async with asyncio.Redis(
            host=address, username="terminal", password=password, socket_timeout=10 * PATIENCE
        ) as client:
            return await client.get(f"{SITE}:metadata:none")

    assert run(asked()) is None
