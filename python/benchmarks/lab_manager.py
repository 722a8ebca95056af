"""Figures of the command on the laboratory's manager, as a whole process there; over SSH, whose time is not in them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from figures import Figure
from whole_process import Runs

_THERE = Path(__file__).with_name("on_the_manager.py")
_DEADLINE_S = 300


def lab_figures(inventory: Path, times: int, *, reconnect: bool) -> Iterator[Figure]:
    """All of them; one row that says so where no laboratory is up."""
    if not (inventory / ".state" / "ssh").is_dir():
        yield Figure("on the laboratory's manager", "≤ 0.4 s / ≤ 1.2 s", "no laboratory is up here", holds=True)
        return
    call = _way(inventory)
    sys.stderr.write("… on the laboratory's manager\n")
    started = _seconds(call, {"command": ["bluefleet", "--help"], "times": times})
    yield Figure("`bluefleet --help` on the manager", "≤ 0.4 s", started.words(), started.median <= 0.4)
    looked = _seconds(call, {"command": ["bluefleet", "status"], "times": times})
    yield Figure("`bluefleet status` of the lab on the manager", "≤ 1.2 s", looked.words(), looked.median <= 1.2)
    if reconnect:
        asked = {"times": times, "starts": True}
        plain, _ = _measured(call, {**asked, "plain": True})
        whole, started = _measured(call, {**asked, "command": ["bluefleet", "reconnect", "--force"]})
        yield Figure(
            "`bluefleet reconnect --force` of both nodes, to the start of the last instance",
            f"≤ plain remove + create + start in parallel ({plain.words()}) + 1 s",
            started.words(),
            started.median <= plain.median + 1.0,
        )
        yield Figure("the same, to its end: all stay up or are healthy", "printed", whole.words(), holds=True)


def _way(inventory: Path) -> list[str]:
    """The call of the manager, without what is to run there."""
    from bluefleet.checkout import find_checkout
    from bluefleet.cli.remote import manager_of, ssh_arguments
    from bluefleet.inventory import render

    found = render(inventory, inventory.parents[1] if inventory.parents[1].is_dir() else find_checkout())
    connection = found.control.connections[manager_of(found, inventory)]
    return [*ssh_arguments(connection), "-T", connection.address, "--", "sudo -n -u bluefleet python3 -I -"]


def _seconds(call: list[str], asked: dict[str, Any]) -> Runs:
    return _measured(call, asked)[0]


def _measured(call: list[str], asked: dict[str, Any]) -> tuple[Runs, Runs]:
    """To the end, and to the start of the last instance where that was asked for."""
    script = _THERE.read_text(encoding="utf-8").replace("ASKED = {}", f"ASKED = {asked!r}")
    done = subprocess.run(call, input=script, capture_output=True, text=True, timeout=_DEADLINE_S, check=False)
    if done.returncode:
        raise SystemExit(f"the manager could not measure {asked}:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    return Runs(tuple(found["seconds"])), Runs(tuple(found["starts"]))
