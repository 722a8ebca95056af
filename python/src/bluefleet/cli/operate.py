"""`bluefleet start`, `stop`, `restart` and `kill`."""

from typing import TYPE_CHECKING

import typer

from bluefleet.cli._fleet import (
    AsJson,
    Categories,
    DryRun,
    Everything,
    InterruptRuns,
    NodeDeadline,
    Reason,
    Targets,
    Wait,
    declared,
    run,
    some_of,
)
from bluefleet.cli._operation import show

if TYPE_CHECKING:
    from bluefleet.fleet import OperationVerb

start, stop, restart, kill = typer.Typer(), typer.Typer(), typer.Typer(), typer.Typer()


@start.command(name="start")
def start_(
    targets: Targets = None,
    *,
    category: Categories = None,
    everything: Everything = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    wait: Wait = 10.0,
    deadline: NodeDeadline = 1800.0,
    as_json: AsJson = False,
) -> None:
    """Start instances as they should be now, and take back what `stop` or `kill` said. What runs is left alone."""
    _operate("start", targets, category, everything, reason, dry_run, wait, deadline, as_json, interrupt_runs=False)


@stop.command(name="stop")
def stop_(
    targets: Targets = None,
    *,
    category: Categories = None,
    everything: Everything = False,
    reason: Reason = "",
    interrupt_runs: InterruptRuns = False,
    dry_run: DryRun = False,
    wait: Wait = 10.0,
    deadline: NodeDeadline = 300.0,
    as_json: AsJson = False,
) -> None:
    """Stop instances: the declared stop command, the stop signal, and after the grace an end.

    They stay stopped until `start` or `clear`, through `apply`, site.yml and restarts of the node and the manager.
    """
    _operate("stop", targets, category, everything, reason, dry_run, wait, deadline, as_json, interrupt_runs)


@restart.command(name="restart")
def restart_(
    targets: Targets = None,
    *,
    category: Categories = None,
    everything: Everything = False,
    reason: Reason = "",
    interrupt_runs: InterruptRuns = False,
    dry_run: DryRun = False,
    wait: Wait = 10.0,
    deadline: NodeDeadline = 600.0,
    as_json: AsJson = False,
) -> None:
    """Stop instances as `stop` does and start the same containers again: nothing is pulled, nothing changes."""
    _operate("restart", targets, category, everything, reason, dry_run, wait, deadline, as_json, interrupt_runs)


@kill.command(name="kill")
def kill_(
    targets: Targets = None,
    *,
    category: Categories = None,
    everything: Everything = False,
    reason: Reason = "",
    interrupt_runs: InterruptRuns = False,
    dry_run: DryRun = False,
    wait: Wait = 10.0,
    deadline: NodeDeadline = 60.0,
    as_json: AsJson = False,
) -> None:
    """End instances at once, without stop command and grace. They stay stopped until `start` or `clear`."""
    _operate("kill", targets, category, everything, reason, dry_run, wait, deadline, as_json, interrupt_runs)


def _operate(  # noqa: PLR0917 (the options of a command, in its order)
    verb: "OperationVerb",
    targets: list[str] | None,
    categories: list[str] | None,
    everything: bool,
    reason: str,
    dry_run: bool,
    wait: float,
    deadline: float,
    as_json: bool,
    interrupt_runs: bool,
) -> None:
    from bluefleet.fleet import Call, Settings, operate

    settings = Settings()
    site = declared(settings)
    chosen = some_of(site, targets or [], categories or [], everything=everything)
    call = Call(
        verb,
        wait=wait,
        deadline=deadline,
        dry_run=dry_run,
        interrupt_runs=interrupt_runs,
        reason=reason,
        progress=lambda line: typer.echo(line, err=True),
    )
    found = run(
        operate(site, settings, verb, chosen, call),
        f"what was begun on a node may be half done; the same `bluefleet {verb}` finishes it",
    )
    show(found, as_json=as_json)
