"""`bluefleet devices`: what plans can name."""

import typer

from bluefleet.cli._fleet import AsJson, Categories, Deadline, Targets, chosen_of, console, declared, run

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
def join_devices() -> None:
    """Wait until the queue's worker is idle, and make it load what was declared meanwhile."""
    from bluefleet.fleet import Settings, join

    settings = Settings()
    found = run(
        join(lambda: declared(settings), settings, progress=lambda line: typer.echo(line, err=True)),
        "the devices still wait; `bluefleet apply` or this command makes them join",
    )
    typer.echo(f"devices: {found.state} {found.detail}".rstrip(), err=True)
