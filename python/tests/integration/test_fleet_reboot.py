"""reboot of a machine with a real engine: by its power, or told to; and what is told when it does not work."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bluefleet.fleet import Call, OperationReport, Settings, SoftFailed, State, history, reboot, select
from bluefleet.model import Node, Site
from machine import Machine, PowerUnit
from patience import PATIENCE
from tls_front import Fronts

# An engine takes seconds to start.
pytestmark = pytest.mark.slow

TOKEN = "a token for the power unit"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine that is on."""
    found = Machine(tmp_path / "m")
    found.on()
    yield found
    found.off()


@pytest.fixture
def unit(machine: Machine) -> Iterator[PowerUnit]:
    """What the machine hangs on."""
    found = PowerUnit(machine, TOKEN)
    yield found
    found.close()


@pytest.fixture
def site(machine: Machine, unit: PowerUnit, settings: Settings, tmp_path: Path) -> Iterator[Site]:
    """A site with this one node."""
    fronts = Fronts(str(machine.socket))
    front = fronts.engine("127.0.0.11", tmp_path / "ca" / "server", tmp_path / "ca" / "engines.crt")
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    power = {"http": {"url": unit.url, "token_file": str(token)}, "off_seconds": 0}
    yield _site({"name": "node1", "address": front.address, "port": front.port, "power": power})
    fronts.close()


def _site(node: dict[str, Any]) -> Site:
    return Site.model_validate(
        {
            "schema_version": 1,
            "site": "lab",
            "hosts": {"node1": {"address": node["address"]}},
            "registry": None,
            "images": {},
            "nodes": [node],
        }
    )


def rebooted(site: Site, settings: Settings, *, soft: Any = None, **more: Any) -> OperationReport:
    call = Call("reboot", who="ada", **{"deadline": 60.0, **more})
    return asyncio.run(reboot(site, settings, select(site, ["node1"]), call, soft=soft))


def test_a_hard_reboot_cuts_the_power_gives_it_back_and_waits(site: Site, settings: Settings, unit: PowerUnit) -> None:
    planned = rebooted(site, settings, dry_run=True)
    assert (planned.ok, unit.calls) == (True, [])
    report = rebooted(site, settings)
    assert (report.ok, unit.calls) == (True, ["off", "on"]), report
    assert report.nodes[0].done.startswith("is back after")
    entry = history.entries(State(settings.state_file))[0]
    assert (entry.verb, entry.targets, entry.result, entry.options) == ("reboot", ["node1"], "ok", {"hard": True})


def test_an_off_that_fails_is_not_followed_by_an_on(site: Site, settings: Settings, unit: PowerUnit) -> None:
    unit.broken = {"off"}
    report = rebooted(site, settings)
    assert (report.ok, unit.calls) == (False, ["off"])
    assert "500" in report.nodes[0].error
    unit.broken = {"on"}
    assert "switched off, and not on again" in rebooted(site, settings).nodes[0].error


class Outlet:
    """A power driver that is a command; it writes what it was asked, and can be made to fail."""

    def __init__(self, folder: Path, body: str = "") -> None:
        self.said = folder / "said"
        self.script = folder / "outlet"
        self.script.write_text(f"#!/bin/sh\necho $1 >> {self.said}\n{body}\n")
        self.script.chmod(0o755)

    def site(self, **power: Any) -> Site:
        power = {"command": [str(self.script), "{action}"], **power}
        return _site({"name": "node1", "address": "127.0.0.1", "port": 1, "transport": "plain", "power": power})

    def calls(self) -> list[str]:
        return self.said.read_text().split() if self.said.exists() else []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["while it is switched off", "while it is off"])
def test_a_node_whose_reboot_is_interrupted_is_not_left_without_power(
    settings: Settings, tmp_path: Path, number: signal.Signals, moment: str
) -> None:
    off_takes, stays_off = (1, 0) if moment == "while it is switched off" else (0, 2)
    outlet = Outlet(tmp_path, f"[ $1 = on ] || sleep {off_takes}")
    report, code = interrupted(outlet, settings, outlet.site(off_seconds=stays_off), number)
    assert (code, outlet.calls()) == (1, ["off", "on"])
    assert "interrupted: what was told to reboot does" in report
    assert history.entries(State(settings.state_file))[0].result == "interrupted"


def test_a_node_that_stays_without_power_is_told_to_who_interrupts_its_reboot(
    settings: Settings, tmp_path: Path
) -> None:
    outlet = Outlet(tmp_path, "[ $1 = off ] || exit 4")
    report, _ = interrupted(outlet, settings, outlet.site(off_seconds=1), signal.SIGINT)
    assert "node1 is off: switch it on by hand" in report


def interrupted(outlet: Outlet, settings: Settings, site: Site, number: signal.Signals) -> tuple[str, int]:
    """What a hard reboot says on stderr, and its exit code, that is ended once it has asked for off."""
    settings.site_file.write_text(yaml.safe_dump(site.model_dump(mode="json", by_alias=True)))
    places = {"BLUEFLEET_ETC": str(settings.etc), "BLUEFLEET_LIB": str(settings.lib)}
    environment = {name: value for name, value in os.environ.items() if name != "BLUEFLEET_INVENTORY"} | places
    command = [sys.executable, "-c", "from bluefleet.cli import main; main()", "reboot", "--hard", "node1"]
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not outlet.calls() and process.poll() is None:
            time.sleep(0.05)
        # As a terminal does: to all that run in it.
        os.killpg(process.pid, number)
        _, said = process.communicate(timeout=60 * PATIENCE)
    return said, process.returncode


def test_a_soft_reboot_is_over_when_the_engine_was_started_anew(
    site: Site, settings: Settings, machine: Machine
) -> None:
    async def tell(_: Node) -> None:
        machine.off()
        machine.on()

    assert rebooted(site, settings, soft=tell).ok


def test_a_node_that_does_not_listen_or_does_not_come_back_is_told(
    site: Site, settings: Settings, machine: Machine
) -> None:
    async def nothing(_: Node) -> None:
        """It is told, and does nothing."""

    async def ends(_: Node) -> None:
        machine.off()

    async def refuses(_: Node) -> None:
        raise SoftFailed("sudo wants a password")

    assert "not back after 2 s" in rebooted(site, settings, soft=nothing, deadline=2.0).nodes[0].error
    refused = rebooted(site, settings, soft=refuses).nodes[0]
    assert (refused.error, "--hard" in refused.remedy) == ("sudo wants a password", True)
    gone = rebooted(site, settings, soft=ends, deadline=3.0)
    assert (gone.ok, "not back after 3 s" in gone.nodes[0].error) == (False, True)


def test_a_command_may_be_the_power_driver(settings: Settings, tmp_path: Path) -> None:
    script = tmp_path / "pdu"
    script.write_text(f"#!/bin/sh\necho $1 >> {tmp_path}/said\n[ $1 = off ] && echo 'no such outlet' >&2 && exit 4\n")
    script.chmod(0o755)
    node = {"name": "node1", "address": "127.0.0.1", "port": 1, "transport": "plain"}
    site = _site({**node, "power": {"command": [str(script), "{action}"]}})
    report = rebooted(site, settings)
    assert report.nodes[0].error == f"power off failed: {script} ended with 4: no such outlet"
    assert (tmp_path / "said").read_text() == "off\n"
    report = rebooted(_site(node), settings)
    assert "no power driver is declared" in report.nodes[0].error


def test_a_reboot_waits_for_no_plan_and_is_refused(site: Site, settings: Settings, unit: PowerUnit) -> None:
    device = {"name": "axis", "class": "bluefleet.devices.Axis"}
    content = json.loads(site.model_dump_json(by_alias=True))
    content["nodes"][0]["instances"] = [{"name": "a", "image": "tiny", "devices": [device]}]
    content["images"] = {"tiny": {"reference": "r:5000/tiny"}}
    # A queue that nobody reaches may run anything.
    content["pods"] = {"acquisition": {"host": "manager", "address": "127.0.0.1"}}
    report = rebooted(Site.model_validate(content), settings)
    assert (report.ok, unit.calls) == (False, [])
    assert report.nodes[0].error.startswith("refused: not known whether a plan runs")
    assert rebooted(Site.model_validate(content), settings, interrupt_runs=True).ok
