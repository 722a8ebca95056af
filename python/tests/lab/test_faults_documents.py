"""Whatever of the document path is killed in the middle of a run: each event is in both databases once, in order."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lab_documents import (
    all_flows,
    assert_each_event_is_there_once_and_in_order,
    events,
    healthy,
    held,
    until,
    verified,
)
from lab_door import ADDRESSES, bluefleet, on
from lab_queue import LabQueue
from lab_runs import tiled

# A second try would hide what is lost once in a while.
pytestmark = [pytest.mark.lab, pytest.mark.faults, pytest.mark.timeout(400), pytest.mark.flaky(reruns=0)]

#: A run of this pace goes on until it is stopped, long after the fault and the recovery.
FOR_EVER = 100_000
PAUSE = 0.01
AT_LEAST = 2_000
CUT_SECONDS = 60
#: What a worker that is killed may lose: what the RunEngine emitted in the last second.
MAY_BE_LOST = 1.0

SERVICES = {
    "forwarder": ("manager", "acquisition-forwarder-1"),
    "kafka": ("manager", "acquisition-kafka-1"),
    "redis": ("manager", "acquisition-redis-1"),
    "mongo-sink": ("data", "data-mongo-sink-1"),
    "tiled-sink": ("data", "data-tiled-sink-1"),
    "mongo": ("data", "data-mongo-1"),
    "tiled": ("data", "data-tiled-1"),
}
CUT = """
table inet fault_cut {{
  chain in {{ type filter hook prerouting priority -350; ip saddr {0} drop; }}
  chain out {{ type filter hook output priority -350; ip daddr {0} drop; }}
  chain through {{ type filter hook forward priority -350; ip daddr {0} drop; }}
}}
"""


@pytest.fixture
def run(queue: LabQueue) -> Iterator[str]:
    """The uid of a run that goes on until the test stops it."""
    uid = queue.start("count", ["det1"], num=FOR_EVER, delay=PAUSE)
    until(lambda: events(uid, "data", "sinks/tiled/runs") > 50, "the first events in Tiled")
    yield uid
    queue.stop()


def kill(host: str, container: str) -> None:
    """kill -9 of a service's processes: the engine starts it again, which it does not after `docker kill`."""
    pid = "docker inspect --format '{{.State.Pid}}' " + container
    before = on(host, pid)
    on(host, f"kill -KILL {before}")
    until(lambda: on(host, pid).strip() not in {before.strip(), "0"}, f"{container} started again", every=0.2)


def kill_engine(host: str) -> None:
    """kill -9 of an engine: systemd starts it again."""
    before = on(host, "cat /var/run/docker.pid")
    on(host, f"kill -KILL {before}")
    until(lambda: on(host, "cat /var/run/docker.pid", check=False).strip() not in {before.strip(), ""}, "a new engine")
    until(lambda: on(host, "docker ps"), "the engine answers")


@contextmanager
def cut_off_from_each_other() -> Iterator[None]:
    """Manager and data exchange nothing; who asks from outside still reaches both."""
    on("data", "nft -f -", given=CUT.format(ADDRESSES["manager"]))
    try:
        yield
    finally:
        on("data", "nft delete table inet fault_cut")


def assert_nothing_is_lost_or_doubled(queue: LabQueue, run: str) -> None:
    """The run outlasts the fault and the recovery; then all that it emitted is there once, in order."""
    until(lambda: healthy("manager") and healthy("data"), "all services are well again")
    until(all_flows, "documents flow again", every=1)
    recovered_at = events(run)
    until(lambda: events(run) > max(AT_LEAST, recovered_at + 100), "a run that outlasts the recovery", every=2)
    assert queue.status()["re_state"] == "running"
    queue.stop()
    assert assert_each_event_is_there_once_and_in_order(run) >= AT_LEAST


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_is_killed_loses_and_doubles_nothing(queue: LabQueue, run: str, service: str) -> None:
    kill(*SERVICES[service])
    assert_nothing_is_lost_or_doubled(queue, run)


def test_an_engine_that_is_killed_loses_and_doubles_nothing(queue: LabQueue, run: str) -> None:
    kill_engine("data")
    assert_nothing_is_lost_or_doubled(queue, run)


def test_a_network_that_is_cut_for_a_minute_loses_and_doubles_nothing(queue: LabQueue, run: str) -> None:
    with cut_off_from_each_other():
        begun = time.monotonic()
        before = events(run, "data", "sinks/mongo/runs")
        while time.monotonic() < begun + CUT_SECONDS:
            assert events(run, "data", "sinks/mongo/runs") <= before + 200, "the network is not cut"
            time.sleep(5)
        # The scan went on all the while.
        assert events(run) > before + 200
    assert_nothing_is_lost_or_doubled(queue, run)


def test_a_worker_that_is_killed_loses_the_last_second_at_most(queue: LabQueue, run: str) -> None:
    until(lambda: events(run) > AT_LEAST, "a long run", every=2)
    writer = json.loads(on("manager", "cat /var/lib/bluefleet/spool/worker.lock"))["pid"]
    program = f"import os, time; print(time.time(), flush=True); os.kill({writer}, 9)"
    killed_at = float(on("manager", f"docker exec acquisition-re-manager-1 python -c '{program}'"))
    try:
        # Nobody opens an environment: the forwarder alone sees to it.
        until(lambda: held("manager", f"documents/runs/{run}")["stop"], "the run of a dead worker is closed")
        assert assert_each_event_is_there_once_and_in_order(run) >= AT_LEAST
        verdict = verified(run)
        assert verdict["exit_status"] == "fail"
        assert "closed by the forwarder" in verdict["places"]["mongo"]["reason"]
        with tiled() as client:
            path = f"table/full/runs/{run}/primary/internal"
            times = client.get(path, params={"format": "json", "column": "time"}).json()["time"]
        assert killed_at - times[-1] <= MAY_BE_LOST + PAUSE
        # The queue does not see that its worker is gone; who asks for the status is told, and what to do.
        found = json.loads(bluefleet("status", "--json").stdout)
        assert not found["ok"]
        assert "environment/destroy" in found["queue"]["reason"]
    finally:
        queue.ask("POST", "environment/destroy")
        queue.wait(lambda s: not s["worker_environment_exists"] and s["manager_state"] == "idle", "closed")
        queue.open()
