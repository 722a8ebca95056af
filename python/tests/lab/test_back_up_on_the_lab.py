"""A backup of the laboratory, taken and restored by the commands of docs/how-to/back-up-and-restore.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_documents import healthy, until, verified
from lab_door import Converge, Mended, bluefleet, on
from lab_queue import LabQueue

from page_blocks import host_block

pytestmark = [pytest.mark.lab, pytest.mark.minutes, pytest.mark.timeout(900)]

PAGE = "how-to/back-up-and-restore.md"
#: As on a host that has never been one of the data pod's.
LOSE = """
docker compose -p data down
rm -r /var/lib/bluefleet/{mongo,tiled,jupyter,before} /etc/bluefleet/pods/data
"""
#: The folder that somebody sees there: the actor's own view of it is made when that starts.
FLEET = "stat --format %i /var/lib/bluefleet/fleet"
IN_ACTOR = "nsenter --mount --target $(systemctl show --property MainPID --value bluefleet-actor)"
KEPT = "/var/lib/bluefleet/jupyter/kept.txt"


@pytest.fixture
def tidied() -> Iterator[None]:
    """No archive stays on a host."""
    yield
    on("manager", "rm -f /root/acquisition.tar.gz")
    on("data", f"rm -rf /root/data.tar.gz /var/lib/bluefleet/before {KEPT}")


def typed(host: str, commands: str) -> None:
    """Commands typed as root; afterwards the host's pod is well."""
    on(host, f"set -e\n{commands}", seconds=300)
    until(lambda: healthy(host), f"all services of {host} are well")


def measured(queue: LabQueue) -> str:
    """The uid of a run that is equal everywhere."""
    queue.open()
    run = queue.start("count", ["det1"], num=30, delay=0.1)
    queue.wait(lambda status: status["manager_state"] == "idle", "idle")
    verified(run)
    return run


def assert_lacks(run: str) -> None:
    done = bluefleet("documents", "verify", run)
    assert done.returncode == 1, done.stderr
    for database in ("mongo", "tiled"):
        assert f"{database}: no run {run}" in " ".join(done.stderr.split()), done.stderr


def replayed(run: str) -> None:
    done = bluefleet("documents", "replay", run)
    assert done.returncode == 0, done.stdout + done.stderr
    verified(run)


@pytest.mark.usefixtures("tidied")
def test_what_was_backed_up_is_there_again_and_what_came_since_is_sent_again(
    tmp_path: Path, queue: LabQueue, mended: Mended
) -> None:
    on("data", f"touch {KEPT}")
    before = measured(queue)
    typed("manager", host_block(PAGE, "The acquisition host"))
    typed("data", host_block(PAGE, "The data host"))
    since = measured(queue)

    typed("data", host_block(PAGE, "Onto a host that runs"))
    verified(before)
    assert_lacks(since)
    replayed(since)

    on("data", LOSE)
    on("data", f"set -e\n{host_block(PAGE, 'Onto a fresh host')}")
    lacking = Converge(tmp_path / "lacking.json").finish()
    assert lacking.code == 2, lacking.text[-3000:]
    assert f"run {since} is not in mongo; `bluefleet documents replay {since}` sends it again" in lacking.text
    verified(before)
    assert_lacks(since)
    replayed(since)
    assert mended.by(Converge(tmp_path / "fresh.json").finish()).changed() == {}
    on("data", f"ls {KEPT}")


@pytest.mark.usefixtures("tidied")
def test_an_acquisition_host_of_before_goes_on(queue: LabQueue, mended: Mended) -> None:
    before = measured(queue)
    typed("manager", host_block(PAGE, "The acquisition host"))
    since = measured(queue)

    typed("manager", f"{host_block(PAGE, 'Onto an acquisition host that runs')}\nrm -r /var/lib/bluefleet/before")
    on("manager", f"test $({IN_ACTOR} {FLEET}) = $({FLEET})")
    # The laboratory's desktop is the data host.
    typed("data", host_block(PAGE, "When it was the acquisition host"))
    verified(before)
    done = bluefleet("documents", "verify", since)
    assert done.returncode == 1
    assert "neither spool nor Kafka holds it" in " ".join(done.stderr.split()), done.stderr
    measured(queue)
    mended.whole = True
