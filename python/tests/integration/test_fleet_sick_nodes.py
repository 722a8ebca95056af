"""A node that is sick, in whatever way, is its own trouble: the others are looked at and changed as if it were not there."""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from test_fleet_operate import actions, applied, did, sleeper

from bluefleet.fleet import ApplyReport, Call, Settings, apply, select, status, update
from bluefleet.model import Site
from real_engine import SOCKET, MakeSite, Seen, docker
from sick_engines import EngineProcess, SwitchedOff
from small_registry import SmallRegistry
from tls_front import Authority, Front, Fronts

REASONS = {
    "down": "nothing listens",
    "hung": "no answer",
    "off": "nothing answers at that address",
    "expired": "certificate has expired",
}


@dataclass
class Sick:
    """A well node, and one sick in each way; `paused` is the process behind the one that hangs."""

    site: Site
    paused: EngineProcess


def at(site: Site, places: dict[str, Front]) -> Site:
    """The same nodes, at other addresses."""
    moved = [
        node.model_copy(update={"address": places[node.name].address, "port": places[node.name].port})
        if node.name in places
        else node
        for node in site.nodes
    ]
    return site.model_copy(update={"nodes": moved})


@pytest.fixture
def sick(make_site: MakeSite, settings: Settings, fronts: Fronts, word: str, tmp_path: Path) -> Iterator[Sick]:
    server, authority = tmp_path / "ca" / "server", tmp_path / "ca" / "engines.crt"
    late = tmp_path / "late"
    ours = Authority(late, "engines-before")
    ours.sign(late / "server", ["127.0.0.23"], expired=True)
    paused = EngineProcess(SOCKET, "127.0.0.21", server, authority)
    off = SwitchedOff("127.0.0.22")
    # The manager believes both authorities, as it does while they rotate.
    with (settings.engine_certificate / "ca.pem").open("ab") as trusted:
        trusted.write(ours.file.read_bytes())
    places = {
        "down": Front("127.0.0.20", 1),
        "hung": paused.front,
        "off": off.front,
        "expired": fronts.engine("127.0.0.23", late / "server", authority),
    }
    site = make_site({"well": [sleeper(f"{word}-well")], **{name: [sleeper(f"{word}-{name}")] for name in REASONS}})
    paused.pause()
    yield Sick(at(site, places), paused)
    for one in (paused, off):
        one.end()


def test_status_tells_what_is_wrong_with_each_and_all_is_well_with_the_other(
    sick: Sick, settings: Settings, seen: Seen, word: str
) -> None:
    applied(sick.site, settings, "well")
    deadline = 3.0
    begin = time.monotonic()
    found = {node.name: node for node in asyncio.run(status(sick.site, settings, deadline=deadline)).nodes}
    # Two of them cost the whole deadline, both at once.
    assert time.monotonic() - begin < deadline + 1
    assert found["well"].instances[0].state == "running"
    assert {name: node.reachable for name, node in found.items() if node.reachable} == {"well": True}
    for name, words in REASONS.items():
        assert words in found[name].reason, name
        assert found[name].remedy, name


@pytest.mark.parametrize("verb", ["apply", "update"])
def test_what_is_changed_on_a_well_node_is_done_before_a_sick_one_answers(
    sick: Sick, settings: Settings, seen: Seen, word: str, verb: str
) -> None:
    """The one that hangs goes on when the well one's instance runs: who waited for it would have waited in vain."""

    async def work() -> ApplyReport:
        names = ["well", "hung", "down", "off", "expired"]
        chosen = select(sick.site, names)
        if verb == "apply":
            doing = apply(
                sick.site, settings, chosen=chosen, check=False, interrupt_runs=False, progress=lambda _: None
            )
        else:
            doing = update(sick.site, settings, chosen, Call("update"), serial=len(names))
        task: Any = asyncio.create_task(doing)
        while f"bluefleet-{word}-well" not in await asyncio.to_thread(seen.ids):
            assert not task.done(), task.result()
            await asyncio.sleep(0.05)
        sick.paused.go_on()
        return await task

    report = asyncio.run(work())
    assert not report.ok
    outcomes = {instance: outcome for instance, _, outcome in actions(report)}
    assert (outcomes[f"{word}-well"], outcomes[f"{word}-hung"]) == ("done", "done")
    errors = {node.name: node.error for node in report.nodes if node.error}
    assert set(errors) == {"down", "off", "expired"}
    assert all(REASONS[name] in error for name, error in errors.items())


def test_a_node_that_goes_away_in_the_middle_fails_alone(sick: Sick, settings: Settings, seen: Seen, word: str) -> None:
    sick.paused.go_on()
    chosen = ["well", "hung"]
    applied(sick.site, settings, *chosen)
    before = seen.ids()
    held = asyncio.Event()

    async def work() -> ApplyReport:
        def gone(line: str) -> None:
            if line.startswith("hung/"):
                sick.paused.end()
                held.set()

        return await apply(
            sick.site,
            settings,
            chosen=select(sick.site, chosen),
            check=False,
            interrupt_runs=False,
            progress=gone,
            force=True,
        )

    report = asyncio.run(work())
    assert held.is_set()
    outcomes = {instance: outcome for instance, _, outcome in actions(report)}
    assert outcomes == {f"{word}-well": "done", f"{word}-hung": "failed"}
    assert seen.ids()[f"bluefleet-{word}-well"] != before[f"bluefleet-{word}-well"]


def test_with_the_registry_away_what_is_there_is_restarted_and_made_anew(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, registry: SmallRegistry
) -> None:
    site = make_site({"node1": [sleeper(f"{word}-a")]})
    applied(site, settings)
    registry.close()
    first = seen.inspect(f"bluefleet-{word}-a")["State"]["StartedAt"]
    assert actions(did(site, settings, "restart", f"{word}-a")) == [(f"{word}-a", "restart", "done")]
    assert seen.inspect(f"bluefleet-{word}-a")["State"]["StartedAt"] > first
    assert actions(did(site, settings, "stop", f"{word}-a")) == [(f"{word}-a", "stop", "done")]
    docker("rm", f"bluefleet-{word}-a")
    assert actions(did(site, settings, "start", f"{word}-a")) == [(f"{word}-a", "create", "done")]


@pytest.mark.skipif(os.geteuid() != 0 or Path("/dev/bus/usb/999").exists(), reason="makes device files")
def test_a_usb_device_that_is_plugged_in_later_is_there_and_may_be_opened(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    folder = Path("/dev/bus/usb")
    made = [one for one in (folder.parent, folder) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    plugged = folder / "999" / "001"
    try:
        site = make_site({"node1": [sleeper(word, hardware_devices=["/dev/bus/usb"])]})
        applied(site, settings)
        plugged.parent.mkdir()
        # There is no such device: whoever may open it is told so, whoever may not is told that.
        os.mknod(plugged, 0o20666, os.makedev(189, 200_000))
        script = f"exec 3<>{plugged}"
        opened = docker_says(f"bluefleet-{word}", script)
        assert "No such device" in opened, opened
    finally:
        plugged.unlink(missing_ok=True)
        for one in [plugged.parent, *reversed(made)]:
            if one.exists():
                one.rmdir()


def docker_says(container: str, script: str) -> str:
    """What bash complains of inside a container."""
    return docker("exec", container, "/bin/bash", "-c", f"exec 2>&1; {script}; exit 0")
