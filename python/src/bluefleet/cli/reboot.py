"""`bluefleet reboot`: nodes, told over SSH by the control machine, or by their power."""

import os
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
from bluefleet.cli._place import on_the_manager

if TYPE_CHECKING:
    from bluefleet.fleet import Selection, Soft
    from bluefleet.model import Node

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
    by_caller: Annotated[bool, typer.Option("--by-caller", hidden=True)] = False,
    as_json: AsJson = False,
) -> None:
    """Reboot nodes and wait until their engines are back; refused while a plan uses their devices.

    The control machine tells them over SSH; --hard works on the manager, too.
    """
    if not on_the_manager() or "BLUEFLEET_INVENTORY" in os.environ:
        from bluefleet.cli._caller import conduct

        words = ["reboot", *(nodes or []), *(word for one in category or [] for word in ("--category", one))]
        flags = {"--hard": hard, "--interrupt-runs": interrupt_runs, "--dry-run": dry_run, "--json": as_json}
        words += [flag for flag, said in flags.items() if said]
        words += ["--reason", reason] if reason else []
        words += ["--wait", f"{wait:g}", "--deadline", f"{deadline:g}"]
        raise typer.Exit(conduct(words, soft=not hard))

    from bluefleet.fleet import Call, Settings
    from bluefleet.fleet import reboot as do

    settings = Settings()
    site = declared(settings)
    if not nodes and not category:
        refuse("nothing is chosen", f"site {site.site}", "Name nodes, or a --category")
    chosen = chosen_of(site, nodes or [], category or [])
    _only_nodes(chosen)
    if not hard and not by_caller:
        refuse(
            "the manager has no login on nodes",
            "bluefleet reboot",
            "Type it on the control machine, which has; `--hard` works here too",
        )
    call = Call(
        "reboot",
        wait=wait,
        deadline=deadline,
        dry_run=dry_run,
        interrupt_runs=interrupt_runs,
        reason=reason,
        progress=lambda line: typer.echo(line, err=True),
    )
    soft = None if hard else _by_caller()
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


def _by_caller() -> "Soft":
    """Who called is asked to tell the node, in a line on stdout, and answers in one on stdin."""
    import asyncio
    import sys

    from bluefleet.cli._caller import answered, asking
    from bluefleet.fleet import SoftFailed

    async def soft(node: "Node") -> None:
        typer.echo(asking(node.name))
        wrong = answered(await asyncio.to_thread(sys.stdin.readline))
        if wrong:
            raise SoftFailed(wrong)

    return soft
