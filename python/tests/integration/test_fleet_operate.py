"""start, stop, restart, kill and overrides against this machine's own engine, reached over mutual TLS."""

import asyncio
import gzip
import json
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from bluefleet.engine import Deadlines, Engine
from bluefleet.fleet import (
    ApplyReport,
    Call,
    OperationReport,
    Overrides,
    Settings,
    State,
    apply,
    clear,
    cordon,
    disable,
    enable,
    history,
    operate,
    select,
    simulate,
    status,
)
from bluefleet.fleet._lock import node_lock
from bluefleet.model import Site
from real_engine import MakeSite, Seen, docker

PARK = "/bin/bash"


def sleeper(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "tiny", "stop_grace_seconds": 1, **more}


def applied(site: Site, settings: Settings, *targets: str, **more: Any) -> ApplyReport:
    options = {"check": False, "interrupt_runs": False, "progress": lambda _: None, **more}
    return asyncio.run(apply(site, settings, chosen=select(site, targets), **options))


def did(site: Site, settings: Settings, verb: Any, *targets: str, **more: Any) -> OperationReport:
    return asyncio.run(operate(site, settings, verb, select(site, targets), Call(verb, who="ada", **more)))


def marked(mark: Any, site: Site, settings: Settings, *targets: str, **more: Any) -> OperationReport:
    kinds_too = {"kinds": more.pop("kinds")} if "kinds" in more else {}
    return asyncio.run(mark(site, settings, select(site, targets), Call(mark.__name__, who="ada", **more), **kinds_too))


def actions(report: ApplyReport | OperationReport) -> list[tuple[str, str, str]]:
    return [(step.instance, step.action, step.outcome) for node in report.nodes for step in node.steps]


def kinds(settings: Settings) -> list[tuple[str, str]]:
    return [(one.instance, one.kind) for one in Overrides.now(State(settings.state_file)).all]


def test_a_stop_holds_through_apply_until_a_start(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    cam1, cam10 = f"{word}-cam1", f"{word}-cam10"
    site = make_site({"node1": [sleeper(cam1), sleeper(cam10)]})
    applied(site, settings)
    before = seen.ids()
    stopped = did(site, settings, "stop", cam1, reason="dust")
    assert (stopped.ok, actions(stopped)) == (True, [(cam1, "stop", "done")])
    assert set(seen.ids()) == {f"bluefleet-{cam10}"}
    assert kinds(settings) == [(cam1, "stopped")]

    again = applied(site, settings)
    assert (again.ok, again.changed, actions(again)) == (True, False, [])
    assert set(seen.ids()) == {f"bluefleet-{cam10}"}
    assert actions(did(site, settings, "stop", cam1)) == []

    started = did(site, settings, "start", cam1)
    assert actions(started) == [(cam1, "start", "done")]
    assert seen.ids() == before
    assert kinds(settings) == []
    assert actions(did(site, settings, "start", cam1)) == []


def test_the_declared_stop_command_comes_first_and_its_failure_is_told(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    # It tells the container's own log that it ran.
    park = [PARK, "-c", "echo parked > /proc/1/fd/1"]
    broken = [PARK, "-c", "echo jammed >&2; exit 3"]
    hangs = [PARK, "-c", "sleep 60"]
    site = make_site(
        {
            "node1": [
                sleeper(f"{word}-a", stop_command=park),
                sleeper(f"{word}-b", stop_command=broken),
                sleeper(f"{word}-c", stop_command=hangs),
            ]
        }
    )
    applied(site, settings)
    begin = time.monotonic()
    report = did(site, settings, "stop")
    assert time.monotonic() - begin < 10
    assert report.ok
    said = {step.instance: step.detail for step in report.nodes[0].steps}
    assert said[f"{word}-a"] == ""
    assert said[f"{word}-b"] == "its stop command ended with 3: jammed"
    assert said[f"{word}-c"] == "its stop command failed: not done within 1 s"
    assert docker("logs", f"bluefleet-{word}-a") == "parked"
    assert seen.ids() == {}


def test_what_was_done_on_a_node_before_an_interrupt_stands_in_history(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    long = sleeper(f"{word}-b", stop_command=[PARK, "-c", "sleep 60"], stop_grace_seconds=60)
    site = make_site({"node1": [sleeper(f"{word}-a"), long]})
    applied(site, settings)
    call = Call("restart", who="ada")

    async def interrupted() -> None:
        whole = asyncio.create_task(operate(site, settings, "restart", select(site), call))
        async with asyncio.timeout(30):
            while not call.over:
                await asyncio.sleep(0.01)
        whole.cancel()
        await asyncio.wait([whole])

    asyncio.run(interrupted())
    latest = history.entries(State(settings.state_file))[0]
    assert (latest.verb, latest.result) == ("restart", "interrupted")
    assert latest.detail[:2] == [
        f"node1/{word}-a: restart done",
        "node1: interrupted; something may be half done",
    ]


def test_restart_keeps_the_container_and_kill_waits_for_nothing(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    deaf = [PARK, "-c", "trap '' TERM; while :; do sleep 0.1; done"]
    site = make_site({"node1": [sleeper(f"{word}-a", command=deaf, stop_grace_seconds=30)]})
    applied(site, settings)
    before = seen.ids()
    begin = time.monotonic()
    assert actions(did(site, settings, "kill", f"{word}-a")) == [(f"{word}-a", "kill", "done")]
    assert time.monotonic() - begin < 5
    assert seen.ids() == {}
    assert kinds(settings) == [(f"{word}-a", "stopped")]
    refused = did(site, settings, "restart", f"{word}-a")
    assert (refused.ok, actions(refused)) == (False, [(f"{word}-a", "restart", "refused")])
    assert "bluefleet start" in refused.nodes[0].steps[0].detail

    did(site, settings, "start", f"{word}-a")
    assert seen.ids() == before


def test_restart_starts_anew_what_runs(make_site: MakeSite, settings: Settings, seen: Seen, word: str) -> None:
    site = make_site({"node1": [sleeper(f"{word}-a")]})
    applied(site, settings)
    before, began = seen.ids(), seen.inspect(f"bluefleet-{word}-a")["State"]["StartedAt"]
    assert actions(did(site, settings, "restart", f"{word}-a")) == [(f"{word}-a", "restart", "done")]
    assert seen.ids() == before
    assert seen.inspect(f"bluefleet-{word}-a")["State"]["StartedAt"] > began


def test_a_dry_run_changes_nothing_and_leaves_no_trace(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    site = make_site({"node1": [sleeper(f"{word}-a")]})
    applied(site, settings)
    noted = len(history.entries(State(settings.state_file)))
    before = seen.ids()
    for verb, expected in (("stop", "stop"), ("kill", "kill"), ("restart", "restart")):
        report = did(site, settings, verb, dry_run=True)
        assert (report.changed, actions(report)) == (True, [(f"{word}-a", expected, "planned")])
    for mark in (disable, cordon):
        assert marked(mark, site, settings, "node1", dry_run=True).changed
    assert seen.ids() == before
    assert kinds(settings) == []
    assert len(history.entries(State(settings.state_file))) == noted


def test_a_stop_that_cannot_reach_its_node_holds_when_the_node_is_back(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    site = make_site({"node1": [sleeper(f"{word}-a")]})
    applied(site, settings)
    away = site.model_copy(update={"nodes": [site.nodes[0].model_copy(update={"port": 1})]})
    failed = did(away, settings, "stop", f"{word}-a")
    assert (failed.ok, "nothing listens" in failed.nodes[0].error) == (False, True)
    assert f"bluefleet-{word}-a" in seen.ids()
    assert actions(applied(site, settings)) == [(f"{word}-a", "stop", "done")]
    assert seen.ids() == {}


def test_what_is_cordoned_stays_as_it_is_until_it_is_cleared(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    applied(make_site({"node1": [sleeper(f"{word}-a"), sleeper(f"{word}-b")]}), settings)
    changed = make_site({"node1": [sleeper(f"{word}-a", user="1000"), sleeper(f"{word}-b", user="1000")]})
    marked(cordon, changed, settings, f"{word}-a", reason="beam time")
    before = seen.ids()
    report = applied(changed, settings)
    assert report.ok
    assert sorted(actions(report)) == [(f"{word}-a", "recreate", "held"), (f"{word}-b", "recreate", "done")]
    assert seen.ids()[f"bluefleet-{word}-a"] == before[f"bluefleet-{word}-a"]

    marked(clear, changed, settings, f"{word}-a")
    assert actions(applied(changed, settings)) == [(f"{word}-a", "recreate", "done")]


def test_what_is_disabled_is_not_started_its_devices_are_refused_and_its_troubles_do_not_count(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    device = {"name": "axis", "class": "bluefleet.devices.Axis", "prefix": "x:"}
    site = make_site({"node1": [sleeper(f"{word}-a", devices=[device]), sleeper(f"{word}-b")]})
    applied(site, settings, f"{word}-b")
    marked(disable, site, settings, f"node1/{word}-a", reason="leaks")
    assert actions(applied(site, settings)) == [(f"{word}-a", "create", "held")]
    refused = json.loads(settings.refused_devices_file.read_text())["devices"]
    assert refused["axis"].endswith("leaks")
    assert actions(did(site, settings, "start", f"{word}-a")) == [(f"{word}-a", "start", "refused")]
    # "all" means all that can be.
    assert did(site, settings, "restart").ok
    looked = asyncio.run(status(site, settings, deadline=5))
    assert looked.ok
    (instance,) = [one for one in looked.nodes[0].instances if one.name == f"{word}-a"]
    assert [(one.kind, one.reason) for one in instance.overrides] == [("disabled", "leaks")]

    marked(enable, site, settings, f"{word}-a")
    assert json.loads(settings.refused_devices_file.read_text())["devices"] == {}
    assert actions(applied(site, settings)) == [(f"{word}-a", "create", "done")]


def test_a_disabled_node_that_is_away_fails_nobody_s_apply(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    site = make_site({"node1": [sleeper(f"{word}-a")]}, hung=("node2",))
    marked(disable, site, settings, "node2", reason="on the bench")
    begin = time.monotonic()
    report = applied(site, settings)
    assert time.monotonic() - begin < 5
    assert (report.ok, actions(report)) == (True, [(f"{word}-a", "create", "done")])
    assert report.nodes[1].left.endswith("on the bench")
    looked = asyncio.run(status(site, settings, deadline=0.5))
    assert looked.ok
    assert [(node.name, node.reachable) for node in looked.nodes] == [("node1", True), ("node2", False)]


def test_a_twin_stands_in_until_it_is_cleared(make_site: MakeSite, settings: Settings, seen: Seen, word: str) -> None:
    twin = {"image": "tiny", "command": [PARK, "-c", "echo simulated; sleep 1000"]}
    real = [sleeper(f"{word}-a", simulated=twin, environment={"REAL": "1"}), sleeper(f"{word}-b")]
    site = make_site({"node1": real})
    applied(site, settings)
    report = marked(simulate, site, settings, "node1")
    assert not report.ok
    assert report.nodes[0].error == f"no twin is declared for {word}-b"
    assert kinds(settings) == [(f"{word}-a", "simulated")]
    assert actions(applied(site, settings)) == [(f"{word}-a", "recreate", "done")]
    assert docker("logs", f"bluefleet-{word}-a") == "simulated"
    assert asyncio.run(status(site, settings, deadline=5)).ok
    marked(clear, site, settings, "node1")
    assert actions(applied(site, settings)) == [(f"{word}-a", "recreate", "done")]


def test_what_is_stopped_gets_its_own_stop_command_when_its_twin_or_it_takes_over(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    def written() -> list[str]:
        logs = sorted((settings.logs_folder / "node1" / f"{word}-a").glob("*.log.gz"))
        return [gzip.decompress(log.read_bytes()).decode().partition(" ")[2] for log in logs]

    park = [PARK, "-c", "echo parked > /proc/1/fd/1"]
    twin = {"image": "tiny", "command": [PARK, "-c", "echo simulated; sleep 1000"]}
    site = make_site({"node1": [sleeper(f"{word}-a", stop_command=park, simulated=twin)]})
    applied(site, settings)
    marked(simulate, site, settings, "node1")
    did(site, settings, "restart", f"{word}-a")
    assert docker("logs", f"bluefleet-{word}-a") == "parked"
    applied(site, settings)
    assert [log.count("parked") for log in written()] == [2]
    marked(clear, site, settings, "node1")
    applied(site, settings)
    assert written()[1:] == ["stdout F simulated\n"]


def test_a_log_that_is_long_on_its_way_keeps_nothing_from_being_made_anew(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied(make_site({"node1": [sleeper(f"{word}-a")]}), settings)
    before = seen.ids()

    def drip(*_arguments: object, **_options: object) -> Iterator[tuple[int, bytes]]:
        while True:
            yield 1, b"2026-11-21T00:00:00Z more\n"
            time.sleep(0.05)

    monkeypatch.setattr("bluefleet.engine._client._Client.log_frames", drip)
    monkeypatch.setattr("bluefleet.fleet._apply.Engine", partial(Engine, deadlines=Deadlines(change=3.0)))
    report = applied(make_site({"node1": [sleeper(f"{word}-a", user="1000")]}), settings)
    assert actions(report) == [(f"{word}-a", "recreate", "done")]
    assert report.nodes[0].steps[0].detail == "its log could not be kept: not here within 3 s"
    assert set(seen.ids()) == set(before)
    assert seen.ids() != before
    assert list(settings.logs_folder.rglob("*.gz*")) == []


def test_enabling_an_instance_of_a_disabled_node_says_that_the_node_still_is(
    make_site: MakeSite, settings: Settings, word: str
) -> None:
    site = make_site({"node1": [sleeper(f"{word}-a")]})
    marked(disable, site, settings, "node1", reason="floods")
    report = marked(enable, site, settings, f"{word}-a")
    assert not report.ok
    assert "bluefleet enable node1/" in report.nodes[0].error
    assert marked(enable, site, settings, "node1").ok


def test_clearing_an_instance_of_a_cordoned_node_says_that_the_node_still_is(
    make_site: MakeSite, settings: Settings, word: str
) -> None:
    site = make_site({"node1": [sleeper(f"{word}-a")]})
    marked(cordon, site, settings, "node1", reason="floods")
    report = marked(clear, site, settings, f"{word}-a")
    assert not report.ok
    assert report.nodes[0].error.endswith("floods; `bluefleet clear node1/` takes that away")
    assert marked(clear, site, settings, f"{word}-a", kinds=["stopped"]).ok
    assert marked(clear, site, settings, "node1").ok


def test_force_makes_chosen_instances_anew_and_no_other(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    site = make_site({"node1": [sleeper(f"{word}-cam1"), sleeper(f"{word}-cam10")]})
    applied(site, settings)
    before = seen.ids()
    assert actions(applied(site, settings, f"{word}-cam1", force=True)) == [(f"{word}-cam1", "recreate", "done")]
    after = seen.ids()
    assert after[f"bluefleet-{word}-cam1"] != before[f"bluefleet-{word}-cam1"]
    assert after[f"bluefleet-{word}-cam10"] == before[f"bluefleet-{word}-cam10"]


def test_two_operators_do_not_interleave_on_one_node_and_the_other_nodes_go_on(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    site = make_site({"node1": [sleeper(f"{word}-a")], "node2": [sleeper(f"{word}-b")]})

    async def both() -> ApplyReport:
        async with node_lock(settings.locks_folder, "node1", who="bob", verb="update", wait=0):
            return await apply(
                site, settings, check=False, interrupt_runs=False, progress=lambda _: None, who="ada", wait=0.1
            )

    report = asyncio.run(both())
    assert not report.ok
    assert "bob (`bluefleet update`" in report.nodes[0].error
    assert actions(report) == [(f"{word}-b", "create", "done")]
    assert applied(site, settings).ok


def test_a_node_that_takes_too_long_is_told_and_delays_no_other(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    slow = [PARK, "-c", "trap '' TERM; while :; do sleep 0.1; done"]
    site = make_site(
        {"node1": [sleeper(f"{word}-a", command=slow, stop_grace_seconds=20)], "node2": [sleeper(f"{word}-b")]}
    )
    applied(site, settings)
    begin = time.monotonic()
    report = did(site, settings, "stop", deadline=3.0)
    assert time.monotonic() - begin < 6
    assert "not done within 3 s" in report.nodes[0].error
    assert actions(report) == [(f"{word}-b", "stop", "done")]


def test_history_tells_who_did_what_and_what_came_of_it(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "grace")
    site = make_site({"node1": [sleeper(f"{word}-a")]}, hung=("node2",))
    applied(site, settings, "node1")
    did(site, settings, "stop", f"{word}-a", reason="dust")
    marked(disable, site, settings, "node2", reason="off")
    latest, stop, first = history.entries(State(settings.state_file))
    assert (latest.verb, latest.targets, latest.result) == ("disable", ["node2"], "ok")
    assert latest.detail == ["node2: disabled"]
    assert (stop.who, stop.verb, stop.targets, stop.options) == ("ada", "stop", [f"node1/{word}-a"], {"reason": "dust"})
    assert stop.detail == [f"node1/{word}-a: stop done"]
    assert (first.who, first.verb, first.result) == ("grace", "apply", "ok")
    assert first.detail == [f"node1/{word}-a: create done"]
