"""An instance that is declared on another node while its node is off, against this machine's own engine."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_fleet_operate import applied, marked, sleeper

from bluefleet.fleet import Overrides, Reconciler, Settings, State, cordon, disable, history
from bluefleet.fleet._desired import desired
from bluefleet.fleet._holders import hold
from bluefleet.model import Site
from patience import ends_in
from queue_stand_in import QueueStandIn, in_the_queues_place
from real_engine import MakeSite, Seen, docker
from service_process import Serve, declare

pytestmark = pytest.mark.slow

PARK = "/bin/bash"
PODS = {"pods": {"acquisition": {"host": "manager", "address": "127.0.0.1"}}}


def off(site: Site, name: str) -> Site:
    """The same site, while nothing answers at this node's address."""
    nodes = [node.model_copy(update={"port": 1}) if node.name == name else node for node in site.nodes]
    return site.model_copy(update={"nodes": nodes})


def power_fails(instance: str) -> str:
    """Its container ends; the other node is this engine, too, so it also gives its name away. Returns its new one."""
    old = f"{instance}-old"
    docker("stop", "--time", "0", f"bluefleet-{instance}")
    docker("rename", f"bluefleet-{instance}", old)
    return old


def made(site: Site, settings: Settings, node: str) -> None:
    """As if all of the node's instances had been made there, and were well."""
    (there,) = [one for one in site.nodes if one.name == node]
    for one in desired(site, there, Overrides()):
        hold(State(settings.state_file), site, node, one.declared.name, one.spec)


def looked(site: Site, settings: Settings, number: int = 0) -> tuple[list[tuple[str, str, str]], dict[str, str]]:
    """What the service does with node1 (or the one of that number) in one look, and what it waits for."""
    found = asyncio.run(Reconciler(settings).node(site, site.nodes[number]))
    return [(step.instance, step.action, step.outcome) for step in found.steps], found.waiting


def test_what_a_dead_node_brings_back_is_stopped_and_nothing_else(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    cam1, cam10, gone = f"{word}-cam1", f"{word}-cam10", f"{word}-gone"
    applied(make_site({"node1": [sleeper(cam1), sleeper(cam10), sleeper(gone)], "node2": []}), settings)
    old = power_fails(cam1)
    moved = make_site({"node1": [sleeper(cam10)], "node2": [sleeper(cam1)]})
    report = applied(off(moved, "node1"), settings)
    assert {node.name: node.ok for node in report.nodes} == {"node1": False, "node2": True}

    docker("start", old)
    before = seen.ids()
    assert {old, f"bluefleet-{cam1}", f"bluefleet-{cam10}", f"bluefleet-{gone}"} == set(before)
    declare(moved, settings)
    with serve() as service:
        service.until(lambda: old not in seen.ids())
        nodes = {node["name"]: node for node in service.until(lambda: stopped(service.get("/status"), cam1))}
        said = {one["name"]: one for one in nodes["node1"]["instances"]}
        assert said[cam1]["drift"] == said[gone]["drift"] == ["extra"]
        assert said[cam1]["reason"] == "stopped: it belongs to node2 now; `bluefleet apply node1` takes it away"
        assert said[gone]["reason"] == "there, but not declared"
        (entry,) = service.get("/history", verb="reconcile")["entries"]
        assert (entry["who"], entry["targets"], entry["result"]) == ("fleet service", [f"node1/{cam1}"], "ok")
        assert any("it belongs to node2 now" in line for line in entry["detail"])
        # It was stopped and not removed, and the one that took over was not touched.
        assert seen.ids() == {name: identity for name, identity in before.items() if name != old}
        assert seen.inspect(old)["State"]["Status"] == "exited"
    assert applied(moved, settings).ok
    assert set(seen.ids()) == {f"bluefleet-{cam1}", f"bluefleet-{cam10}"}


def stopped(status: dict[str, Any], instance: str) -> list[dict[str, Any]]:
    """The nodes, once node1's instance of that name is seen ended."""
    ended = any(
        one["name"] == instance and one["state"] == "exited"
        for node in status["nodes"]
        if node["name"] == "node1"
        for one in node["instances"]
    )
    return status["nodes"] if ended else []


def started_later(name: str) -> None:
    """Start it again, in a later second: when a container was started is known to the second."""
    second = int(time.time())
    while int(time.time()) == second:
        time.sleep(0.05)
    docker("restart", "--time", "0", name)


def test_it_runs_on_until_the_other_node_has_it(make_site: MakeSite, settings: Settings, seen: Seen, word: str) -> None:
    applied(make_site({"node1": [sleeper(word)], "node2": []}), settings)
    moved = make_site({"node1": [], "node2": [sleeper(word)]})
    assert looked(moved, settings) == ([], {})
    made(moved, settings, "node2")
    assert looked(moved, settings) == ([(word, "stop", "done")], {})
    assert seen.ids() == {}
    assert looked(moved, settings) == ([], {})


@pytest.mark.parametrize("first", ["node1", "node2"])
def test_of_a_name_that_both_nodes_had_the_one_that_is_not_declared_any_more_is_nobodys_to_stop(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, first: str
) -> None:
    both = make_site({"node1": [sleeper(word)], "node2": [sleeper(word)]})
    for node in sorted(("node1", "node2"), key=lambda name: name != first):
        if node == "node1":
            applied(both, settings, node)
        else:
            made(both, settings, node)
    started_later(f"bluefleet-{word}")
    alone = make_site({"node1": [], "node2": [sleeper(word)]})
    made(alone, settings, "node2")
    assert looked(alone, settings) == ([], {})
    assert set(seen.ids()) == {f"bluefleet-{word}"}


def test_who_was_slow_to_be_well_has_taken_it_over_all_the_same(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    applied(make_site({"node1": [sleeper(word)], "node2": []}), settings)
    old = power_fails(word)
    slow = {"command": [PARK, "-c", "[ -e /well ]"], "interval_seconds": 0.3, "retries": 1, "start_period_seconds": 0}
    moved = make_site({"node1": [], "node2": [sleeper(word, health=slow)]})
    assert not applied(moved, settings, "node2").ok
    docker("exec", f"bluefleet-{word}", PARK, "-c", "echo > /well")
    deadline = ends_in(20)
    while seen.inspect(f"bluefleet-{word}")["State"]["Health"]["Status"] != "healthy":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    docker("start", old)
    assert looked(moved, settings) == ([], {})
    assert looked(moved, settings, 1) == ([], {})
    assert looked(moved, settings) == ([(word, "stop", "done")], {})
    assert set(seen.ids()) == {f"bluefleet-{word}"}


def test_what_is_cordoned_stays_and_what_is_disabled_does_not(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    cordoned, free, own = f"{word}-cam1", f"{word}-cam10", f"{word}-own"
    before = make_site({"node1": [sleeper(cordoned), sleeper(free), sleeper(own)], "node2": []})
    applied(before, settings)
    marked(cordon, before, settings, cordoned)
    marked(disable, before, settings, "node1", reason="its power supply is away for repair")
    moved = make_site({"node1": [sleeper(own)], "node2": [sleeper(cordoned), sleeper(free)]})
    made(moved, settings, "node2")
    docker("kill", f"bluefleet-{own}")
    assert looked(moved, settings) == ([(free, "stop", "done")], {})
    assert set(seen.ids()) == {f"bluefleet-{cordoned}"}


@pytest.fixture
def queue(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[QueueStandIn]:
    """The site's queue, on a port of its own."""
    with in_the_queues_place(settings, tmp_path, monkeypatch) as found:
        yield found


def test_a_plan_keeps_what_never_ended_but_not_what_came_back(
    make_site: MakeSite, settings: Settings, queue: QueueStandIn, seen: Seen, word: str
) -> None:
    applied(make_site({"node1": [sleeper(word)], "node2": []}, **PODS), settings)
    moved = make_site({"node1": [], "node2": [sleeper(word)]}, **PODS)
    made(moved, settings, "node2")
    queue.item = {"name": "scan", "args": [["det"], "axis", -1, 1, 5], "kwargs": {}}
    steps, waiting = looked(moved, settings)
    assert steps == []
    assert "run run-1 (scan) uses it, or may" in waiting[word]
    assert history.entries(State(settings.state_file), verb="reconcile") == []
    assert set(seen.ids()) == {f"bluefleet-{word}"}

    started_later(f"bluefleet-{word}")
    assert looked(moved, settings) == ([(word, "stop", "done")], {})
    assert seen.ids() == {}
