"""`bluefleet first-scan`: queue a scan through the site's front door, read it back, show it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bluefleet.cli._control import need, site_of
from bluefleet.cli._fleet import refuse
from bluefleet.cli._report import report

if TYPE_CHECKING:
    from rich.console import Console

    from bluefleet.first_scan import Pinhole, Readings, ScanResult
    from bluefleet.inventory import SiteAddresses

app = typer.Typer()

PLACES = ("acquisition", "data")


@app.command()
def first_scan(
    inventory: Annotated[
        Path | None,
        typer.Option(
            "--inventory", "-i", envvar="BLUEFLEET_INVENTORY", help="Inventory of the site: inventories/<site>."
        ),
    ] = None,
) -> None:
    """Prove the site: scan the pinhole of the simulated beamline, and find its centre at 0 in what was stored.

    Where none runs, what else is simulated is read a few times. Real hardware is neither moved nor read.
    """
    from rich.console import Console

    site, addresses, folder = site_of("first-scan", inventory)
    need("first-scan", "httpx", "numpy")
    if addresses.edge is None or addresses.tiled is None:
        refuse(
            "the site has no acquisition pod or no data pod", str(folder), "Put hosts into groups acquisition and data"
        )
    from bluefleet.first_scan import StageFailed, subject_of

    subject = subject_of(site)
    if subject is None:
        refuse(
            "nothing of the site is simulated, and a first scan moves no real hardware",
            str(folder),
            "Declare a mini_beamline, as inventories/example has on bl7-optics, or queue a plan of your own",
        )
    console = Console(stderr=True)
    try:
        result = _scan(addresses, subject, console)
    except StageFailed as error:
        where = f"stage “{error.stage}”, host {error.host} ({addresses.hosts[error.host].address})"
        report(error.what, where, f"read on {error.host}: {error.log}")
        raise typer.Exit(1) from error
    except OSError as error:
        report(f"{error.filename}: {error.strerror}", "on this machine", "run site.yml, which makes it")
        raise typer.Exit(2) from error
    _show(result, subject, addresses, folder, Console())


def _scan(addresses: "SiteAddresses", subject: "Pinhole | Readings", console: "Console") -> "ScanResult":
    import ssl

    import httpx
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from bluefleet.first_scan import FirstScan, Pinhole
    from bluefleet.first_scan.queue import Queue
    from bluefleet.first_scan.runs import Runs
    from bluefleet.first_scan.scan import POINTS, READINGS
    from bluefleet.first_scan.spooled import spooled_events

    edge, tiled = addresses.edge, addresses.tiled
    if edge is None or tiled is None:
        raise AssertionError("the caller has looked")
    # The site's own authority, whatever the environment says of others; and no proxy on the way to it.
    trust = ssl.create_default_context(cafile=str(edge.ca_file))
    acquisition, data = (_host_of(addresses, group) for group in PLACES)

    def client(url: str, key_file: Path) -> httpx.Client:
        headers = {"Authorization": f"ApiKey {key_file.read_text(encoding='utf-8').strip()}"}
        return httpx.Client(base_url=url, headers=headers, verify=trust, trust_env=False, timeout=30)

    columns = [
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=POINTS),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
    ]
    with (
        client(edge.url, edge.queue_api_key_file) as to_edge,
        client(tiled.url.removesuffix("/tiled"), tiled.api_key_file) as to_tiled,
        Progress(*columns, console=console) as bar,
    ):
        task = bar.add_task("", total=POINTS if isinstance(subject, Pinhole) else READINGS)
        stages: list[str] = []

        def progress(stage: str, done: int | None) -> None:
            # Without a terminal there is no bar: each new stage is a line.
            if not console.is_terminal and (not stages or stages[-1] != stage):
                console.print(stage)
            stages.append(stage)
            bar.update(task, description=stage, completed=done or 0)

        queue, runs = Queue(to_edge, acquisition), Runs(to_tiled, data)
        return FirstScan(queue, runs, lambda: spooled_events(to_edge), (acquisition, data), subject).run(progress)


def _host_of(addresses: "SiteAddresses", group: str) -> str:
    return next(name for name, host in addresses.hosts.items() if group in host.groups)


def _show(
    result: "ScanResult", subject: "Pinhole | Readings", addresses: "SiteAddresses", folder: Path, console: "Console"
) -> None:
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
    for line in _what_next(result, addresses, folder):
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


def _what_next(result: "ScanResult", addresses: "SiteAddresses", folder: Path) -> list[str]:
    edge, tiled = addresses.edge, addresses.tiled
    if edge is None or tiled is None:
        raise AssertionError("there was a scan")
    # The shell's own printf keeps the key out of the process list.
    header = """-H @<(printf 'Authorization: ApiKey %s' "$(cat {key})")"""
    curl = f"curl --cacert {edge.ca_file} {header}"
    command = ".venv/bin/bluefleet"
    if (folder.parent.name, folder.name) != ("inventories", "lab"):
        command += f" -i {folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder}"
    return [
        f"Queue   {edge.url}/api   key in {edge.queue_api_key_file}",
        f"Runs    {tiled.url}   key in {tiled.api_key_file}",
        f"Trust   {edge.ca_file}",
        "",
        "Try next:",
        f"  1. {command} status",
        f"  2. {command} documents verify {result.uid[:8]}",
        f"  3. {curl.format(key=edge.queue_api_key_file)} {edge.url}/api/devices/allowed",
    ]
