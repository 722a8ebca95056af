"""What the verbs that change something have in common: they show a report, and end with its exit code."""

from typing import TYPE_CHECKING

import typer

from bluefleet.cli._fleet import ALL_WELL, DEGRADED

if TYPE_CHECKING:
    from bluefleet.fleet import NodeResult, OperationReport


def show(found: "OperationReport", *, as_json: bool) -> None:
    """Print it, and end the command: exit code 1 when something failed or was refused."""
    if as_json:
        typer.echo(found.model_dump_json())
    for one in found.overrides:
        done = {"enable": "no longer", "clear": "no longer"}.get(found.verb, "now")
        typer.echo(f"{one.place}: {'would be ' if found.dry_run else ''}{done} {one.kind}", err=True)
    if not found.changed and found.ok:
        typer.echo(f"there was nothing to {found.verb}", err=True)
    for node in found.nodes:
        show_node(node, planned=found.dry_run)
    raise typer.Exit(ALL_WELL if found.ok else DEGRADED)


def show_node(node: "NodeResult", *, planned: bool) -> None:
    """What was, or would be, done on a node: what failed last, each in a line of its own."""
    if node.left:
        typer.echo(f"{node.name}: left as it is: {node.left}", err=True)
    if node.done:
        typer.echo(f"{node.name}: {node.done}", err=True)
    for step in node.steps:
        where = f"{node.name}/{step.instance}"
        if step.outcome == "planned" and planned:
            typer.echo(f"{where}: would {step.action}: {step.reason}", err=True)
        elif step.outcome == "held":
            typer.echo(f"{where}: left as it is: {step.detail}", err=True)
        elif step.outcome == "done" and step.detail:
            typer.echo(f"{where}: {step.action} done, but {step.detail}", err=True)
    if node.error:
        typer.echo(f"failed: {node.name}: {node.error}. {node.remedy}".rstrip(". ") + ".", err=True)
    for step in node.steps:
        if step.outcome in {"failed", "refused"}:
            words = "would be refused" if planned and step.outcome == "refused" else step.outcome
            typer.echo(f"{words}: {node.name}/{step.instance}: {step.action}: {step.detail}", err=True)
