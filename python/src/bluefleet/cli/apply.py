"""`bluefleet apply`: make what runs equal to what is declared."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bluefleet.cli._fleet import (
    ALL_WELL,
    DEGRADED,
    DIFFERS,
    AsJson,
    Categories,
    InterruptRuns,
    NodeDeadline,
    Targets,
    Wait,
    chosen_of,
    declared,
    refuse,
    run,
)
from bluefleet.cli._operation import show_node

if TYPE_CHECKING:
    from bluefleet.fleet import ApplyReport

app = typer.Typer()


@app.command()
def apply(
    targets: Targets = None,
    *,
    category: Categories = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Change nothing; show what would be done or refused: exit code 3 if there is any."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="The same as --check, with exit code 0; 1 if a plan would refuse it.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Make containers anew also where nothing differs.")
    ] = False,
    interrupt_runs: InterruptRuns = False,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="With --check: take the declared site from standard input.")
    ] = False,
    wait: Wait = 10.0,
    deadline: NodeDeadline = 1800.0,
    as_json: AsJson = False,
) -> None:
    """Make what runs equal to what is desired: exit code 1 when something failed, 3 when `--check` found something.

    Desired is what is declared, and the overrides that `status` shows.
    """
    from bluefleet.fleet import Settings
    from bluefleet.fleet import apply as make_so

    settings = Settings()
    if stdin and not check:
        refuse("--stdin is for --check only", "bluefleet apply", "What is applied is what site.yml put on the manager")
    site = declared(settings, sys.stdin.read() if stdin else None)
    chosen = chosen_of(site, targets or [], category or [])
    found = run(
        make_so(
            site,
            settings,
            chosen=chosen,
            check=check or dry_run,
            force=force,
            wait=wait,
            deadline=deadline,
            interrupt_runs=interrupt_runs,
            progress=lambda line: typer.echo(line, err=True),
        ),
        "what was begun on a node may be half done; `bluefleet apply` finishes it",
    )
    if as_json:
        typer.echo(found.model_dump_json())
    _summarize(found)
    # That a plan keeps something for now fails no comparison.
    if not found.ok and not (check and all(node.only_refused for node in found.nodes)):
        raise typer.Exit(DEGRADED)
    raise typer.Exit(DIFFERS if check and found.changed else ALL_WELL)


def _summarize(found: "ApplyReport") -> None:
    """What was, or would be, done; what failed comes last, each in a line of its own."""
    if not any(step.outcome != "held" for node in found.nodes for step in node.steps):
        typer.echo("no instance has to be touched", err=True)
    devices = found.devices
    verb = "would change" if found.check else "changed"
    words = f": {devices.detail}" if devices.detail else ""
    typer.echo(f"devices: {verb if devices.changed else 'unchanged'}, {devices.state}{words}", err=True)
    for node in sorted(found.nodes, key=lambda node: not node.ok, reverse=True):
        show_node(node, planned=found.check)
