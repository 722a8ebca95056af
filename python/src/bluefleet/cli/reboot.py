"""`bluefleet reboot`: nodes, told over SSH or by their power."""

from typing import TYPE_CHECKING, Annotated

import typer

from bluefleet.cli._fleet import (
    AsJson,
    Categories,
    DryRun,
    InterruptRuns,
    Reason,
    Wait,
    chosen_of,
    declared,
    refuse,
    run,
)
from bluefleet.cli._operation import show

if TYPE_CHECKING:
    from bluefleet.fleet import Selection

app = typer.Typer()


@app.command()
def reboot(
    nodes: Annotated[list[str] | None, typer.Argument(metavar="NODE", help="Nodes to reboot.")] = None,
    *,
    category: Categories = None,
    hard: Annotated[
        bool, typer.Option("--hard", help="Cut their power and give it back, by the declared power driver.")
    ] = False,
    reason: Reason = "",
    interrupt_runs: InterruptRuns = False,
    dry_run: DryRun = False,
    wait: Wait = 10.0,
    deadline: Annotated[float, typer.Option(min=1.0, help="Seconds that each node has to be back.")] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Reboot nodes and wait until their engines are back; refused while a plan uses their devices.

    They are told over SSH; --hard cuts their power instead.
    """
    from bluefleet.fleet import Call, Settings, by_ssh
    from bluefleet.fleet import reboot as do

    settings = Settings()
    site = declared(settings)
    if not nodes and not category:
        refuse("nothing is chosen", f"site {site.site}", "Name nodes, or a --category")
    chosen = chosen_of(site, nodes or [], category or [])
    _only_nodes(chosen)
    call = Call(
        "reboot",
        wait=wait,
        deadline=deadline,
        dry_run=dry_run,
        interrupt_runs=interrupt_runs,
        reason=reason,
        progress=lambda line: typer.echo(line, err=True),
    )
    soft = None if hard else by_ssh(settings)
    found = run(
        do(site, settings, chosen, call, soft=soft),
        "what was told to reboot does, and what lost its power has it again unless it is said above; "
        "`bluefleet status` says what is back",
    )
    show(found, as_json=as_json)


def _only_nodes(chosen: "Selection") -> None:
    parts = [name for one in chosen if not one.whole for name in one.names]
    if parts:
        nodes = " ".join(one.node.name for one in chosen)
        refuse(f"{parts[0]} is no node", "NODE", f"Nodes are rebooted: {nodes}. `bluefleet restart` is for instances")
