"""`bluefleet first-scan`: queue a scan through the site's front door, read it back, show it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bluefleet.cli._control import addresses_of, need
from bluefleet.cli._fleet import refuse
from bluefleet.cli._report import report

if TYPE_CHECKING:
    from rich.console import Console

    from bluefleet.first_scan import ScanResult
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
    """Prove the site: scan the pinhole of the simulated beamline, and find its centre at 0 in what was stored."""
    from rich.console import Console

    addresses, folder = addresses_of("first-scan", inventory)
    need("first-scan", "httpx", "numpy")
    if addresses.edge is None or addresses.tiled is None:
        refuse(
            "the site has no acquisition pod or no data pod", str(folder), "Put hosts into groups acquisition and data"
        )
    from bluefleet.first_scan import StageFailed

    console = Console(stderr=True)
    try:
        result = _scan(addresses, console)
    except StageFailed as error:
        where = f"stage “{error.stage}”, host {error.host} ({addresses.hosts[error.host].address})"
        report(error.what, where, f"read on {error.host}: {error.log}")
        raise typer.Exit(1) from error
    except OSError as error:
        report(f"{error.filename}: {error.strerror}", "on this machine", "run site.yml, which makes it")
        raise typer.Exit(2) from error
    _show(result, addresses, Console())


def _scan(addresses: "SiteAddresses", console: "Console") -> "ScanResult":
    import ssl

    import httpx
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from bluefleet.first_scan import FirstScan
    from bluefleet.first_scan.queue import Queue
    from bluefleet.first_scan.runs import Runs
    from bluefleet.first_scan.scan import POINTS
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
        task = bar.add_task("", total=POINTS)
        stages: list[str] = []

        def progress(stage: str, done: int | None) -> None:
            # Without a terminal there is no bar: each new stage is a line.
            if not console.is_terminal and (not stages or stages[-1] != stage):
                console.print(stage)
            stages.append(stage)
            bar.update(task, description=stage, completed=done or 0)

        queue, runs = Queue(to_edge, acquisition), Runs(to_tiled, data)
        return FirstScan(queue, runs, lambda: spooled_events(to_edge), (acquisition, data)).run(progress)


def _host_of(addresses: "SiteAddresses", group: str) -> str:
    return next(name for name, host in addresses.hosts.items() if group in host.groups)


def _show(result: "ScanResult", addresses: "SiteAddresses", console: "Console") -> None:
    from rich.table import Table

    from bluefleet.first_scan.plot import bars
    from bluefleet.first_scan.scan import AXIS, COMPANION, DETECTOR, END, START

    columns = result.run.columns
    table = Table(title=f"scan {result.run.start.get('scan_id')}  run {result.uid}", title_justify="left")
    for name in ("seq_num", AXIS, DETECTOR, COMPANION):
        table.add_column(name, justify="right")
    rows = zip(columns["seq_num"], columns[AXIS], columns[DETECTOR], columns[COMPANION], strict=True)
    for number, position, counts, walk in rows:
        table.add_row(f"{number:.0f}", f"{position:.3f}", f"{counts:.0f}", f"{walk:.3f}")
    console.print(table)
    console.print(f"\n{DETECTOR} over {AXIS}, {max(columns[DETECTOR]):.0f} at the top")
    for line in bars(columns[DETECTOR]):
        console.print("  " + "".join(column * 2 for column in line), style="cyan", highlight=False)
    console.print(f"  {START:<{len(columns[AXIS])}}{END:>{len(columns[AXIS])}}\n")
    fit = result.fit
    console.print(f"[bold green]centre {fit.centre:+.3f}[/], width {fit.width:.3f}, height {fit.height:.0f}\n")
    for line in _what_next(result, addresses):
        console.print(line, highlight=False, soft_wrap=True)


def _what_next(result: "ScanResult", addresses: "SiteAddresses") -> list[str]:
    edge, tiled = addresses.edge, addresses.tiled
    if edge is None or tiled is None:
        raise AssertionError("there was a scan")
    # The shell's own printf keeps the key out of the process list.
    header = """-H @<(printf 'Authorization: ApiKey %s' "$(cat {key})")"""
    curl = f"curl --cacert {edge.ca_file} {header}"
    return [
        f"Queue   {edge.url}/api   key in {edge.queue_api_key_file}",
        f"Runs    {tiled.url}   key in {tiled.api_key_file}",
        f"Trust   {edge.ca_file}",
        "",
        "Try next:",
        "  1. .venv/bin/bluefleet status",
        f"  2. .venv/bin/bluefleet documents verify {result.uid[:8]}",
        f"  3. {curl.format(key=edge.queue_api_key_file)} {edge.url}/api/devices/allowed",
    ]
