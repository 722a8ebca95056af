"""`bluefleet devices`: what plans can name."""

import typer

from bluefleet.cli._fleet import AsJson, Deadline, console, declared, run

app = typer.Typer(no_args_is_help=True)


@app.callback()
def devices() -> None:
    """Show the devices that plans can name."""


@app.command(name="list")
def list_devices(deadline: Deadline = 5.0, as_json: AsJson = False) -> None:
    """Show every declared device: its class, where it is served, and whether the queue's worker knows it."""
    from bluefleet.fleet import Settings, devices_report

    settings = Settings()
    found = devices_report(declared(settings), settings, deadline=deadline)
    if as_json:
        typer.echo(found.model_dump_json())
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("device", "class", "prefix", "node", "instance", "queue", "answers"):
        table.add_column(heading, no_wrap=True)
    for device in found.devices:
        answers = f"no: {device.unreachable}" if device.unreachable else "yes" if device.state == "loaded" else "-"
        table.add_row(
            device.name, device.device_class, device.prefix, device.node, device.instance, device.state, answers
        )
    out = console()
    out.print(table)
    if found.detail:
        out.print(f"\n{found.state}: {found.detail}", markup=False)


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
