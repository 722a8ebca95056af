"""The fleet's figures: the whole command over a hundred engines, some of which hang, and on the laboratory's manager.

``python python/benchmarks/fleet.py`` sets up all of the first itself and takes it down again; it needs this machine's engine. The
laboratory's figures are taken when one is up; ``--reconnect`` makes its instances anew, too. ``--keep`` writes the figures
into docs/reference/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import beside_fliswarm
from figures import Figure, report, speed_ms
from fleet_site import ManyNodes
from lab_manager import lab_figures
from many_engines import Asked, Places, many_engines
from whole_process import Runs, measured

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "performance.md"
BLUEFLEET = str(Path(sys.executable).with_name("bluefleet"))
NODES, SILENT, DELAY_S = 100, 3, 0.020
_MOST_MEMORY_MB = 200


def figure(name: str, limit_s: float, runs: Runs, memory_mb: float = 0.0, trouble: str = "") -> Figure:
    """A row: judged by the median, and by the memory where that is limited."""
    target = f"≤ {limit_s:g} s" + (f", ≤ {memory_mb:g} MB" if memory_mb else "")
    words = runs.words() + (f", {runs.memory_mb:.0f} MB" if memory_mb else "") + (f"; {trouble}" if trouble else "")
    holds = runs.median <= limit_s and (not memory_mb or runs.memory_mb <= memory_mb) and not trouble
    return Figure(name, target, words, holds)


def status_figure(name: str, limit_s: float, environment: dict[str, str], times: int) -> Figure:
    """`status` of engines of which some hang: as quick as that, and without taking one that is well for one that hangs."""
    command = [BLUEFLEET, "status", "--deadline", "1"]
    runs = measured(command, environment, times=times, well=(1,))
    said = subprocess.run(
        [*command, "--json"], env={**os.environ, **environment}, capture_output=True, timeout=120, check=False
    )
    lost = sum(not node["reachable"] for node in json.loads(said.stdout)["nodes"])
    trouble = f"{lost} nodes were called unreachable" if lost != SILENT else ""
    return figure(name, limit_s, runs, _MOST_MEMORY_MB, trouble)


def of_many_nodes(places: Places, many: ManyNodes, times: int) -> Iterator[Figure]:
    """All figures of a hundred engines."""
    well = many.environment("well", places.engines)
    sys.stderr.write(f"… {NODES} instances\n")
    made = subprocess.run(
        [BLUEFLEET, "apply"], env={**os.environ, **well}, capture_output=True, text=True, timeout=600, check=False
    )
    if made.returncode:
        raise SystemExit(f"the instances could not be made:\n{made.stderr[-3000:]}")
    some = many.environment("some", places.engines[:-SILENT], places.silent)
    later = many.environment("later", places.later[:-SILENT], places.silent)
    what = f"`status` of {NODES} engines over mutual TLS, {SILENT} of them hang, deadline 1 s"
    sys.stderr.write("… status\n")
    yield status_figure(what, 2.0, some, times)
    yield status_figure(f"the same, every answer {DELAY_S * 1000:.0f} ms later", 2.3, later, times)
    yield compared(places, times)
    sys.stderr.write("… apply\n")
    yield figure(f"`apply` of {NODES} engines, nothing to do", 4.0, measured([BLUEFLEET, "apply"], well, times=times))


def compared(places: Places, times: int) -> Figure:
    """sdss-fliswarm over the same engines, in plain."""
    name = "the first with sdss-fliswarm 0.7.0, in-process, without TLS, without its pings"
    try:
        python = beside_fliswarm.installed(ROOT / ".cache")
        runs = beside_fliswarm.status(python, places.plain[:-SILENT], places.silent, times)
    except beside_fliswarm.NotThere as error:
        return Figure(name, "for comparison", f"can't be had here: {error}", holds=True)
    return Figure(name, "for comparison", runs.words(), holds=True)


def main() -> int:
    """Take the figures, print them, and say by the exit code whether all hold."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--times", type=int, default=5, help="counted runs of each command")
    arguments.add_argument("--inventory", type=Path, default=ROOT / "inventories" / "lab", help="the laboratory's")
    arguments.add_argument("--reconnect", action="store_true", help="make the laboratory's instances anew, too")
    arguments.add_argument("--lab-only", action="store_true", help="only the laboratory's figures")
    arguments.add_argument("--keep", action="store_true", help=f"write the figures into {PAGE.relative_to(ROOT)}")
    chosen = arguments.parse_args()
    before_ms = speed_ms()
    # Ended by a signal, too, it removes what it made.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    figures: list[Figure] = []
    if not chosen.lab_only:
        with tempfile.TemporaryDirectory(prefix="bluefleet-bench-") as folder:
            # As on a manager, where site.yml compiles the command; the runs to warm up do it here.
            os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
            os.environ["PYTHONPYCACHEPREFIX"] = str(Path(folder) / "bytecode")
            many = ManyNodes(Path(folder))
            try:
                asked = Asked(
                    engines=[f"127.0.1.{number}" for number in range(1, NODES + 1)],
                    silent=[f"127.0.2.{number}" for number in range(1, SILENT + 1)],
                    delay_s=DELAY_S,
                    certificate=many.server([f"127.0.1.{number}" for number in range(1, NODES + 1)]),
                    authority=many.authority,
                )
                with many_engines(asked) as places:
                    figures.extend(of_many_nodes(places, many, chosen.times))
            finally:
                many.remove()
    figures.extend(lab_figures(chosen.inventory, chosen.times, reconnect=chosen.reconnect))

    report(figures, before_ms, PAGE if chosen.keep else None, "fleet figures")
    return 0 if all(each.holds for each in figures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
