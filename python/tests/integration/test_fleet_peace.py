"""The fleet service and operators at the same nodes: it does not fight with what they want, nor with who is at work."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from test_fleet_operate import applied, did, marked, sleeper
from test_fleet_service import began, running

from bluefleet.fleet import Settings, State, disable, enable, history
from bluefleet.fleet._lock import owner
from patience import PATIENCE
from real_engine import MakeSite, Seen, docker
from service_process import Serve, declare
from small_registry import SmallRegistry

pytestmark = pytest.mark.slow

PARK = "/bin/bash"
COMMAND = [sys.executable, "-c", "from bluefleet.cli import main; main()"]


def environment(settings: Settings) -> dict[str, str]:
    places = {"BLUEFLEET_ETC": str(settings.etc), "BLUEFLEET_LIB": str(settings.lib)}
    return {name: text for name, text in os.environ.items() if name != "BLUEFLEET_INVENTORY"} | places


def mended(settings: Settings) -> list[list[str]]:
    """What the service did."""
    return [one.targets for one in history.entries(State(settings.state_file), verb="reconcile")]


def test_what_is_disabled_stays_down_until_it_is_enabled(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    out, free = f"{word}-cam1", f"{word}-cam10"
    site = make_site({"node1": [sleeper(out), sleeper(free)], "node2": [sleeper(f"{word}-other")]})
    declare(site, settings)
    applied(site, settings)
    with serve() as service:
        running(service, out, free, f"{word}-other")
        marked(disable, site, settings, out, reason="dust")
        marked(disable, site, settings, "node2", reason="on the bench")
        service.until(lambda: len(service.get("/overrides")["overrides"]) == 2)
        docker("kill", f"bluefleet-{word}-other", f"bluefleet-{out}", f"bluefleet-{free}")
        service.until(lambda: f"bluefleet-{free}" in seen.ids())
        # It has looked at both nodes since.
        service.until(lambda: service.instance(out)["state"] == service.instance(f"{word}-other")["state"] == "exited")
        assert set(seen.ids()) == {f"bluefleet-{free}"}
        marked(enable, site, settings, out, "node2")
        service.until(lambda: len(seen.ids()) == 3)


def test_an_update_that_is_at_work_is_left_alone(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    # Each takes seconds to stop and seconds to be well: the service looks in between, many times.
    slow: dict[str, Any] = {
        "command": [PARK, "-c", "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.1; done"],
        "health": {"command": [PARK, "-c", "[ $SECONDS -ge 0 ]"], "interval_seconds": 1, "retries": 1},
        "stop_grace_seconds": 5,
    }
    names = [f"{word}-{letter}" for letter in "ab"]
    old = make_site({"node1": [sleeper(name, **slow) for name in names]})
    applied(old, settings)
    declare(make_site({"node1": [sleeper(name, user="1000", **slow) for name in names]}), settings)
    with serve(PERIOD="0.2") as service:
        running(service, *names)
        done = subprocess.run(
            [*COMMAND, "update", "--json"],
            env=environment(settings),
            capture_output=True,
            text=True,
            timeout=60 * PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        service.until(lambda: all(service.instance(name)["drift"] == [] for name in names))
        assert all(service.instance(name)["tries"] == 0 for name in names)
    assert mended(settings) == []
    assert [seen.inspect(f"bluefleet-{name}")["Config"]["User"] for name in names] == ["1000"] * 2


@pytest.mark.parametrize("verb", ["restart", "stop"])
def test_who_is_killed_at_work_holds_nothing_and_what_is_wanted_becomes_so(  # noqa: PLR0917 (fixtures)
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve, verb: str
) -> None:
    # It tells that it is asked to stop, and takes its time.
    parks = [PARK, "-c", "echo parks > /proc/1/fd/1; sleep 2"]
    site = make_site({"node1": [sleeper(word, stop_command=parks, stop_grace_seconds=20)]})
    declare(site, settings)
    applied(site, settings)
    with serve() as service:
        running(service, word)
        first = began(seen, word)
        with subprocess.Popen([*COMMAND, verb, word], env=environment(settings), stderr=subprocess.DEVNULL) as operator:
            service.until(lambda: "parks" in docker("logs", f"bluefleet-{word}"))
            held = owner(settings.locks_folder, "node1")
            assert held is not None
            assert (held.verb, held.pid) == (verb, operator.pid)
            operator.send_signal(signal.SIGKILL)
            operator.wait(10)
        entry = history.entries(State(settings.state_file), verb=verb)[0]
        assert entry.result == "unfinished"
        if verb == "stop":
            # The override was there before anything was stopped: the service makes it true.
            service.until(lambda: seen.ids() == {})
            service.until(lambda: owner(settings.locks_folder, "node1") is None)
        else:
            # It was not stopped yet, and runs on; the next operator waits for nobody.
            assert did(site, settings, "restart", word, wait=15.0).ok
            assert began(seen, word) != first


def test_an_operator_waits_for_no_pull_of_the_service(  # noqa: PLR0917 (fixtures)
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve, registry: SmallRegistry
) -> None:
    declare(make_site({"node1": [sleeper(word)]}), settings)
    registry.quick.clear()
    try:
        with serve() as service:
            service.until(lambda: registry.pulls)
            assert service.post("cordon", word, wait=0)["ok"]
            registry.quick.set()
            # It has the image now, and does not want it any more.
            service.until(lambda: registry.digest in docker("images", "--digests", "--format", "{{.Digest}}"))
            service.until(lambda: service.instance(word).get("state") == "missing")
            assert (seen.ids(), mended(settings)) == ({}, [])
            assert service.post("clear", word)["ok"]
            service.until(lambda: f"bluefleet-{word}" in seen.ids())
    finally:
        registry.quick.set()


def test_two_doors_at_once_do_one_after_the_other(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, serve: Serve
) -> None:
    parks = [PARK, "-c", "sleep 2"]
    site = make_site({"node1": [sleeper(word, stop_command=parks, stop_grace_seconds=20)]})
    declare(site, settings)
    applied(site, settings)
    with serve() as service:
        running(service, word)
        with subprocess.Popen(
            [*COMMAND, "restart", word], env=environment(settings), stderr=subprocess.DEVNULL
        ) as first:
            service.until(lambda: owner(settings.locks_folder, "node1"))
            busy = service.post("stop", word, wait=0)
            assert not busy["ok"]
            assert f"`bluefleet restart`, process {first.pid}" in busy["nodes"][0]["error"]
            assert service.get("/overrides")["overrides"] == []
            assert service.post("stop", word, wait=60)["ok"]
            assert first.wait(10) == 0
        assert seen.ids() == {}
        entries = {one.verb: one for one in history.entries(State(settings.state_file)) if one.result == "ok"}
        restarted, stopped = entries["restart"].ended, entries["stop"].ended
        assert restarted is not None
        assert stopped is not None
        assert restarted < stopped
