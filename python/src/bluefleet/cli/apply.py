"""`bluefleet apply`: make what runs equal to what is declared."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bluefleet.cli._fleet import ALL_WELL, DEGRADED, DIFFERS, AsJson, Nodes, chosen_of, declared, refuse, run

if TYPE_CHECKING:
    from bluefleet.fleet import ApplyReport

app = typer.Typer()


@app.command()
def apply(
    nodes: Nodes = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; show what would be done, with exit code 3 if there is any.")
    ] = False,
    interrupt_runs: Annotated[
        bool, typer.Option("--interrupt-runs", help="Also what takes an instance away from a plan that runs.")
    ] = False,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="With --check: take the declared site from standard input.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make what runs equal to what is declared: exit code 1 when something failed, 3 when `--check` found something."""
    from bluefleet.fleet import Settings
    from bluefleet.fleet import apply as make_so

    settings = Settings()
    if stdin and not check:
        refuse("--stdin is for --check only", "bluefleet apply", "What is applied is what site.yml put on the manager")
    site = declared(settings, sys.stdin.read() if stdin else None)
    chosen = chosen_of(site, nodes or [])
    found = run(
        make_so(
            site,
            settings,
            chosen=chosen,
            check=check,
            interrupt_runs=interrupt_runs,
            progress=lambda line: typer.echo(line, err=True),
        ),
        "what was begun on a node may be half done; `bluefleet apply` finishes it",
    )
    if as_json:
        typer.echo(found.model_dump_json())
    _summarize(found)
    if not found.ok:
        raise typer.Exit(DEGRADED)
    raise typer.Exit(DIFFERS if check and found.changed else ALL_WELL)


def _summarize(found: "ApplyReport") -> None:
    """What was, or would be, done; what failed comes last, each in a line of its own."""
    steps = [(node.name, step) for node in found.nodes for step in node.steps]
    if found.check:
        for node, step in steps:
            typer.echo(f"{node}/{step.instance}: would {step.action}: {step.reason}", err=True)
    if not steps:
        typer.echo("no instance has to be touched", err=True)
    devices = found.devices
    verb = "would change" if found.check else "changed"
    words = f": {devices.detail}" if devices.detail else ""
    typer.echo(f"devices: {verb if devices.changed else 'unchanged'}, {devices.state}{words}", err=True)
    for node in found.nodes:
        if node.error:
            typer.echo(f"failed: {node.name}: {node.error}. {node.remedy}", err=True)
    for node, step in steps:
        if step.outcome in {"failed", "refused"}:
            typer.echo(f"{step.outcome}: {node}/{step.instance}: {step.action}: {step.detail}", err=True)
