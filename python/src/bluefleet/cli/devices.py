"""`bluefleet devices`: what plans can name."""

from typing import TYPE_CHECKING

import typer

from bluefleet.cli._fleet import (
    ALL_WELL,
    DEGRADED,
    AsJson,
    Categories,
    Deadline,
    DryRun,
    Targets,
    chosen_of,
    console,
    declared,
    run,
    with_state,
)

if TYPE_CHECKING:
    from bluefleet.fleet import Settings

app = typer.Typer(no_args_is_help=True)


@app.callback()
def devices() -> None:
    """Show the devices that plans can name."""


@app.command(name="list")
def list_devices(
    targets: Targets = None, category: Categories = None, deadline: Deadline = 5.0, as_json: AsJson = False
) -> None:
    """Show declared devices: their class, where they are served, whether the worker knows them and plans may use them."""
    from bluefleet.fleet import Settings, devices_report

    settings = Settings()
    site = declared(settings)
    chosen = chosen_of(site, targets or [], category or [])
    with with_state():
        found = devices_report(site, settings, deadline=deadline)
    placed = {(node.name, instance.name) for node, instance in chosen.placed}
    shown = [device for device in found.devices if (device.node, device.instance) in placed]
    found = found.model_copy(update={"devices": shown})
    if as_json:
        typer.echo(found.model_dump_json())
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("device", "class", "prefix", "served by", "state"):
        table.add_column(heading, overflow="fold")
    for device in found.devices:
        state = "refused" if device.refused else "no answer" if device.unreachable else device.state
        colour = "red" if device.unreachable else "yellow" if device.refused else ""
        table.add_row(
            device.name,
            device.device_class.removeprefix("bluefleet.devices."),
            device.prefix,
            f"{device.node}/{device.instance}",
            Text(state, style=colour),
        )
    out = console()
    out.print(table)
    out.print()
    for device in found.devices:
        if device.refused:
            out.print(f"{device.name} is refused to plans: {device.refused}", markup=False)
        if device.unreachable:
            out.print(f"{device.name} does not answer: {device.unreachable}", markup=False)
    out.print(f"{found.state}: {found.detail}" if found.detail else found.state, markup=False)


@app.command(name="join")
def join_devices(*, dry_run: DryRun = False) -> None:
    """Wait until the queue's worker is idle, and make it load what was declared meanwhile."""
    from bluefleet.fleet import Settings, join

    settings = Settings()
    if dry_run:
        _show_what_would_join(settings)
        return
    found = run(
        join(lambda: declared(settings), settings, progress=lambda line: typer.echo(line, err=True)),
        "the devices still wait; `bluefleet apply` or this command makes them join",
    )
    typer.echo(f"devices: {found.state} {found.detail}".rstrip(), err=True)


def _show_what_would_join(settings: "Settings") -> None:
    """Exit code 1 when the queue does not say."""
    from bluefleet.fleet import to_join

    with with_state():
        found = to_join(declared(settings), settings)
    if found.state == "pending":
        names = ", ".join(found.pending) or "the declared devices anew"
        typer.echo(f"would make the queue's worker load {names} as soon as it is idle", err=True)
    else:
        typer.echo(f"devices: {found.state} {found.detail}".rstrip(), err=True)
    raise typer.Exit(DEGRADED if found.state == "unknown" else ALL_WELL)
