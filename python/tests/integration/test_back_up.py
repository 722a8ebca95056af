"""A backup as the page says, restored: with a real Kafka, Mongo and Tiled, and the page's own archives."""

import re
import uuid
from collections.abc import Iterator

import pytest
from document_stack import Stack, docker, listens, running, wait_for
from test_document_path import every_kind, publish
from test_replay import replay

from page_blocks import host_block

pytestmark = pytest.mark.timeout(300)

PAGE = "how-to/back-up-and-restore.md"
#: Where they have their data in their containers.
KEPT = {"kafka": "/var/lib/kafka", "mongo": "/var/lib/mongo", "tiled": "/tmp"}
DATABASES = ("mongo", "tiled")
SINKS = ("mongo-sink", "tiled-sink")
ELSEWHERE = ("redis", "queue", "fleet", "jupyter")


@pytest.fixture(scope="module")
def own(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A path that no other tests need: its Kafka goes back in time."""
    stack = Stack(f"bluefleet-test-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("path"), kept=KEPT)
    with running(stack, images) as found:
        try:
            yield found
        finally:
            docker("volume", "rm", "--force", f"{found.name}-root")


def typed(stack: Stack, images: dict[str, str], commands: str) -> None:
    """Run commands as root where the folders of hosts are: what of them this path has, and the others empty."""
    folders = {service: f"{stack.name}-{service}" for service in KEPT} | {"spool": str(stack.spool)}
    docker(
        "run", "--rm", "--network", "none", "--user", "0:0", "--volume", f"{stack.name}-root:/root",
        *(word for folder, source in folders.items() for word in ("--volume", f"{source}:/var/lib/bluefleet/{folder}")),
        *(word for folder in ELSEWHERE for word in ("--tmpfs", f"/var/lib/bluefleet/{folder}")),
        "--entrypoint", "bash", images["ioc"], "-ec", commands,
    )  # fmt: skip


def archive(stack: Stack, images: dict[str, str], heading: str) -> None:
    """The page's line that makes an archive."""
    (line,) = re.findall(r"^tar --create .*$", host_block(PAGE, heading), re.MULTILINE)
    typed(stack, images, line)


def restored(stack: Stack, images: dict[str, str], of: str, *folders: str) -> None:
    """A host has lost these folders, and the page's line gets them back."""
    (line,) = re.findall(r"^tar --extract .*$", host_block(PAGE, "Onto a host that runs"), re.MULTILINE)
    losing = "".join(f"find /var/lib/bluefleet/{folder} -mindepth 1 -delete\n" for folder in folders)
    typed(stack, images, losing + line.replace("data.tar.gz", f"{of}.tar.gz"))


def stop_databases(stack: Stack) -> None:
    stack.stop(*SINKS)
    stack.stop(*reversed(DATABASES))


def start_databases(stack: Stack) -> None:
    stack.start("mongo")
    wait_for(listens(stack.addresses["mongo"], 27017), "Mongo")
    stack.start("tiled")
    wait_for(listens(stack.addresses["tiled"], 8000), "Tiled")
    stack.start(*SINKS)


def start_acquisition(stack: Stack) -> None:
    stack.start("kafka")
    wait_for(listens(stack.addresses["kafka"], 9092), "Kafka")
    stack.start("forwarder")


def measured(stack: Stack, scan_id: int) -> str:
    """The uid of a run that is equal everywhere."""
    uid = publish(stack, every_kind(pages=False, scan_id=scan_id))
    assert_equal(stack, uid)
    return uid


def assert_equal(stack: Stack, uid: str) -> None:
    def equal() -> bool:
        verdict = stack.verify(uid)
        assert verdict.equal, verdict.differences
        return True

    # A service that has just been started does not answer yet.
    wait_for(equal, f"run {uid} is equal everywhere", 90)


def test_databases_of_before_are_whole_and_get_what_came_since(own: Stack, images: dict[str, str]) -> None:
    before = measured(own, 1)
    stop_databases(own)
    archive(own, images, "The data host")
    start_databases(own)
    since = measured(own, 2)

    stop_databases(own)
    restored(own, images, "data", *DATABASES)
    start_databases(own)
    assert_equal(own, before)
    lacking = own.verify(since, wait=0).differences
    assert [text.partition(":")[0] for text in lacking] == list(DATABASES), lacking
    replay(own, f"replay/{since}")
    assert_equal(own, since)


def test_an_acquisition_host_of_before_goes_on_with_databases_of_now(own: Stack, images: dict[str, str]) -> None:
    before = measured(own, 1)
    own.stop("forwarder")
    waiting = publish(own, every_kind(pages=False, scan_id=2))
    own.stop("kafka")
    archive(own, images, "The acquisition host")
    start_acquisition(own)
    assert_equal(own, waiting)
    since = measured(own, 3)

    own.stop("forwarder", "kafka")
    restored(own, images, "acquisition", "spool", "kafka")
    start_acquisition(own)
    own.stop(*SINKS)
    own.start(*SINKS)
    assert_equal(own, before)
    # It comes a second time.
    assert_equal(own, waiting)
    assert own.verify(since, wait=0).differences == [
        "neither spool nor Kafka holds it: there is nothing to measure the databases by"
    ]
    measured(own, 4)
