"""`bluefleet update` and `bluefleet rollback`: a few instances at a time, the next only when these are well."""

from typing import TYPE_CHECKING, Annotated, TypeAlias

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
    chosen_of,
    declared,
    refuse,
    run,
    some_of,
)
from bluefleet.cli._operation import show

if TYPE_CHECKING:
    from bluefleet.fleet import Call, RollingReport
    from bluefleet.model import Image, Site

update, rollback = typer.Typer(), typer.Typer()

Serial: TypeAlias = Annotated[int, typer.Option("--serial", "-n", min=1, help="How many instances at a time.")]
HealthyWithin: TypeAlias = Annotated[
    float, typer.Option(min=1.0, help="Seconds an instance has to be healthy before it counts as failed.")
]


@update.command(name="update")
def update_(
    targets: Targets = None,
    *,
    category: Categories = None,
    serial: Serial = 1,
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image",
            metavar="KEY=REFERENCE@DIGEST",
            help="Run instances that name image KEY from this one, until `clear` or the next update; may be repeated.",
        ),
    ] = None,
    reason: Reason = "",
    interrupt_runs: InterruptRuns = False,
    dry_run: DryRun = False,
    healthy_within: HealthyWithin = 90.0,
    wait: Wait = 10.0,
    deadline: NodeDeadline = 1800.0,
    as_json: AsJson = False,
) -> None:
    """Make instances what is declared, or run them from chosen images: the next only when these are healthy.

    It stops at the first that does not get well, says how far it got, and goes on when it is run again. It ends what an
    earlier --image or `rollback` said.
    """
    from bluefleet.fleet import SelectionInvalid, Settings
    from bluefleet.fleet import update as do

    settings = Settings()
    site = declared(settings)
    images = _images(site, image or [])
    call = _call("update", reason, wait, deadline, healthy_within, dry_run=dry_run, interrupt_runs=interrupt_runs)
    try:
        found = run(
            do(site, settings, chosen_of(site, targets or [], category or []), call, serial=serial, images=images),
            "some instances are updated and some are not; the same `bluefleet update` goes on, `rollback` goes back",
        )
    except SelectionInvalid as error:
        refuse(str(error), "--image", error.remedy)
    _finish(found, as_json=as_json)


@rollback.command(name="rollback")
def rollback_(
    targets: Targets = None,
    *,
    category: Categories = None,
    everything: Everything = False,
    serial: Serial = 1,
    further: Annotated[
        bool, typer.Option("--further", help="Also what is rolled back already: to the spec before that one.")
    ] = False,
    reason: Reason = "",
    interrupt_runs: InterruptRuns = False,
    dry_run: DryRun = False,
    healthy_within: HealthyWithin = 90.0,
    wait: Wait = 10.0,
    deadline: NodeDeadline = 1800.0,
    as_json: AsJson = False,
) -> None:
    """Bring back the spec that instances were well with before: it stays until `clear` or the next update."""
    from bluefleet.fleet import Settings
    from bluefleet.fleet import rollback as do

    settings = Settings()
    site = declared(settings)
    chosen = some_of(site, targets or [], category or [], everything=everything)
    call = _call("rollback", reason, wait, deadline, healthy_within, dry_run=dry_run, interrupt_runs=interrupt_runs)
    found = run(
        do(site, settings, chosen, call, serial=serial, further=further),
        "some instances are rolled back and some are not; the same `bluefleet rollback` goes on",
    )
    _finish(found, as_json=as_json)


def _call(
    verb: str,
    reason: str,
    wait: float,
    deadline: float,
    healthy_within: float,
    *,
    dry_run: bool,
    interrupt_runs: bool,
) -> "Call":
    from bluefleet.fleet import Call

    return Call(
        verb,
        wait=wait,
        deadline=deadline,
        dry_run=dry_run,
        interrupt_runs=interrupt_runs,
        reason=reason,
        healthy_within=healthy_within,
        progress=lambda line: typer.echo(line, err=True),
    )


def _images(site: "Site", said: list[str]) -> "dict[str, Image]":
    from bluefleet.model import Image, did_you_mean

    found: dict[str, Image] = {}
    for text in said:
        key, _, reference = text.partition("=")
        if key not in site.images:
            refuse(f"there is no image {key!r}", "--image", did_you_mean(key, list(site.images)))
        try:
            found[key] = Image(reference=reference, digest=reference.partition("@")[2] or None)
        except ValueError:
            refuse(f"{reference!r} is no image by its digest", "--image", _RIGHT)
        if found[key].digest is None:
            refuse(f"{reference!r} has no digest", "--image", _RIGHT)
    return found


_RIGHT = "Right is KEY=registry/repository@sha256:…; `bluefleet images` lists digests"


def _finish(found: "RollingReport", *, as_json: bool) -> None:
    if found.not_reached:
        typer.echo(f"as it should be: {', '.join(found.reached) or 'none'}", err=True)
        typer.echo(f"not reached: {', '.join(found.not_reached)}", err=True)
        typer.echo(f"Mend what failed and run the same `bluefleet {found.verb}` again: it goes on from there", err=True)
    show(found, as_json=as_json)
