"""`bluefleet first-scan`: queue a scan through the site's front door, read it back, show it."""

from typing import TYPE_CHECKING, Any

import typer

from bluefleet.cli._fleet import refuse
from bluefleet.cli._front_door import FrontDoor, Stages, front_door
from bluefleet.cli._of_site import OfSite

if TYPE_CHECKING:
    from rich.console import Console

    from bluefleet.first_scan import Pinhole, Readings, ScanResult

app = typer.Typer()


@app.command()
def first_scan(
    inventory: OfSite = None,
) -> None:
    """Prove the site: scan the pinhole of the simulated beamline, and find its centre at 0 in what was stored.

    Where none runs, what else is simulated is read a few times. Real hardware is neither moved nor read.
    """
    from rich.console import Console

    door = front_door("first-scan", inventory)
    from bluefleet.first_scan import subject_of

    subject = subject_of(door.site)
    if subject is None:
        refuse(
            "nothing of the site is simulated, and a first scan moves no real hardware",
            str(door.folder),
            "Declare a mini_beamline, as inventories/example has on bl7-optics, or queue a plan of your own",
        )
    with door.failures_told():
        result = _scan(door, subject, Console(stderr=True))
    _show(result, subject, door, Console())


def _scan(door: FrontDoor, subject: "Pinhole | Readings", console: "Console") -> "ScanResult":
    from bluefleet.first_scan import FirstScan, Pinhole
    from bluefleet.first_scan.queue import Queue
    from bluefleet.first_scan.runs import Runs
    from bluefleet.first_scan.scan import POINTS, READINGS
    from bluefleet.first_scan.spooled import spooled_events

    acquisition, data = door.hosts
    stages = Stages(console, POINTS if isinstance(subject, Pinhole) else READINGS, bar_width=POINTS)
    with door.clients() as (to_edge, to_tiled), stages.bar:
        queue, runs = Queue(to_edge, acquisition), Runs(to_tiled, data)
        return FirstScan(queue, runs, lambda: spooled_events(to_edge), door.hosts, subject).run(stages.show)


def _show(result: "ScanResult", subject: "Pinhole | Readings", door: FrontDoor, console: "Console") -> None:
    from rich.table import Table

    from bluefleet.first_scan import Pinhole

    columns = result.run.columns
    if isinstance(subject, Pinhole):
        names = ["seq_num", subject.axis, *subject.detectors]
    else:
        names = [
            "seq_num",
            *(name for name in columns if name.startswith(subject.devices) and _is_shown(columns[name])),
        ]
    title = f"{result.run.start.get('plan_name', 'scan')} {result.run.start.get('scan_id')}  run {result.uid}"
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, justify="right")
    for row in zip(*(columns[name] for name in names), strict=True):
        table.add_row(*(_cell(name, value, subject) for name, value in zip(names, row, strict=True)))
    console.print(table)
    if isinstance(subject, Pinhole):
        _show_pinhole(result, subject, console)
    for line in _what_next(result, door):
        console.print(line, highlight=False, soft_wrap=True)


def _is_shown(values: list[Any]) -> bool:
    """Whether a cell of a table can say it: a frame's pixels it can't."""
    return all(isinstance(value, int | float | str) for value in values)


def _cell(name: str, value: Any, subject: "Pinhole | Readings") -> str:
    from bluefleet.first_scan import Pinhole

    whole = name == "seq_num" or (isinstance(subject, Pinhole) and name == subject.detector)
    return value if isinstance(value, str) else f"{value:.0f}" if whole else f"{value:.3f}"


def _show_pinhole(result: "ScanResult", pinhole: "Pinhole", console: "Console") -> None:
    from bluefleet.first_scan.plot import bars
    from bluefleet.first_scan.scan import END, START

    counts, fit = result.run.columns[pinhole.detector], result.fit
    if fit is None:
        raise AssertionError("a scan of a pinhole has a centre")
    console.print(f"\n{pinhole.detector} over {pinhole.axis}, {max(counts):.0f} at the top")
    for line in bars(counts):
        console.print("  " + "".join(column * 2 for column in line), style="cyan", highlight=False)
    console.print(f"  {START:<{len(counts)}}{END:>{len(counts)}}\n")
    console.print(f"[bold green]centre {fit.centre:+.3f}[/], width {fit.width:.3f}, height {fit.height:.0f}\n")


def _what_next(result: "ScanResult", door: FrontDoor) -> list[str]:
    edge, tiled = door.edge, door.tiled
    # The shell's own printf keeps the key out of the process list.
    header = """-H @<(printf 'Authorization: ApiKey %s' "$(cat {key})")"""
    curl = f"curl --cacert {edge.ca_file} {header}"
    return [
        f"Begin   {edge.url}/   in a browser: all that the site has, and where its credentials are",
        f"Queue   {edge.url}/api   key in {edge.queue_api_key_file}",
        f"Runs    {tiled.url}   key in {tiled.reader_key_file}",
        f"Trust   {edge.ca_file}",
        f"Ask     {curl.format(key=edge.queue_api_key_file)} {edge.url}/api/devices/allowed",
        "",
        "Try next:",
        f"  1. {door.command} status",
        f"  2. {door.command} documents verify {result.uid[:8]}",
        f"  3. {door.command} examples",
    ]
