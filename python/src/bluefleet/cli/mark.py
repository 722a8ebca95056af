"""`bluefleet enable`, `disable`, `cordon`, `simulate` and `clear`."""

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from bluefleet.cli._fleet import (
    AsJson,
    Categories,
    DryRun,
    Everything,
    Reason,
    Targets,
    Wait,
    declared,
    one_line,
    refuse,
    run,
    some_of,
    with_state,
)
from bluefleet.cli._operation import show

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bluefleet.fleet import Call, OperationReport, OverrideKind, Selection, Settings
    from bluefleet.model import Site

    Mark: TypeAlias = Callable[[Site, Settings, Selection, Call], Coroutine[Any, Any, OperationReport]]

enable, disable, cordon, simulate, clear = (typer.Typer() for _ in range(5))


@enable.command(name="enable")
def enable_(
    targets: Targets = None,
    *,
    category: Categories = None,
    everything: Everything = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    wait: Wait = 10.0,
    as_json: AsJson = False,
) -> None:
    """Put into use again what was disabled. It starts nothing: `bluefleet apply` does."""
    from bluefleet.fleet import Call
    from bluefleet.fleet import enable as do

    call = Call("enable", wait=wait, dry_run=dry_run, reason=reason)
    _mark(do, call, targets, category, everything=everything, as_json=as_json)


@disable.command(name="disable")
def disable_(
    targets: Targets = None,
    *,
    reason: Annotated[
        str,
        typer.Option("--reason", "-r", callback=one_line, help="Why; status, history and refused plans tell it."),
    ],
    category: Categories = None,
    everything: Everything = False,
    dry_run: DryRun = False,
    wait: Wait = 10.0,
    as_json: AsJson = False,
) -> None:
    """Take nodes or instances out of use: plans are refused their devices, apply leaves them alone.

    It stops nothing, and terminals and screens on desktops do not hear of it. Their troubles do not count in status
    until `enable` or `clear`.
    """
    from bluefleet.fleet import Call
    from bluefleet.fleet import disable as do

    if not reason.strip():
        refuse("the reason is empty", "--reason", "Say why: the next operator reads it in `bluefleet status`")
    call = Call("disable", wait=wait, dry_run=dry_run, reason=reason)
    _mark(do, call, targets, category, everything=everything, as_json=as_json)


@cordon.command(name="cordon")
def cordon_(
    targets: Targets = None,
    *,
    category: Categories = None,
    everything: Everything = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    wait: Wait = 10.0,
    as_json: AsJson = False,
) -> None:
    """Keep nodes or instances as they are: apply leaves them alone until `clear`; plans may use them."""
    from bluefleet.fleet import Call
    from bluefleet.fleet import cordon as do

    call = Call("cordon", wait=wait, dry_run=dry_run, reason=reason)
    _mark(do, call, targets, category, everything=everything, as_json=as_json)


@simulate.command(name="simulate")
def simulate_(
    targets: Targets = None,
    *,
    category: Categories = None,
    everything: Everything = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    wait: Wait = 10.0,
    as_json: AsJson = False,
) -> None:
    """Let the declared twins of instances stand in for them, from the next `apply` on until `clear`.

    Exit code 1 when one has no twin: it stays as it is.
    """
    from bluefleet.fleet import Call
    from bluefleet.fleet import simulate as do

    call = Call("simulate", wait=wait, dry_run=dry_run, reason=reason)
    _mark(do, call, targets, category, everything=everything, as_json=as_json)


@clear.command(name="clear")
def clear_(
    targets: Targets = None,
    *,
    category: Categories = None,
    everything: Everything = False,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind", "-k", help="Only this kind: stopped, disabled, cordoned, pinned, rolled-back, simulated."
        ),
    ] = None,
    reason: Reason = "",
    dry_run: DryRun = False,
    wait: Wait = 10.0,
    as_json: AsJson = False,
) -> None:
    """Take overrides away. It starts and changes nothing: `bluefleet apply` makes what is declared true again."""
    from bluefleet.fleet import OVERRIDE_KINDS, Call, Overrides, Selection, Settings, State, orphans, orphans_named
    from bluefleet.fleet import clear as do

    unknown = [one for one in kind or [] if one not in OVERRIDE_KINDS]
    if unknown:
        refuse(f"no override is called {' or '.join(unknown)}", "--kind", f"There are {', '.join(OVERRIDE_KINDS)}")
    kinds: list[OverrideKind] = [one for one in OVERRIDE_KINDS if not kind or one in kind]
    call = Call("clear", wait=wait, dry_run=dry_run, reason=reason)
    settings = Settings()
    site = declared(settings)
    with with_state():
        left_over = orphans(site, Overrides.now(State(settings.state_file)))
    gone, known = orphans_named(site, left_over, targets or [])
    if not targets:
        gone = left_over if everything else []
    nothing_else = bool(gone) and not known and not everything
    chosen = Selection((), named=True) if nothing_else else some_of(site, known, category or [], everything=everything)
    _do(do(site, settings, chosen, call, kinds=kinds, gone=gone), as_json=as_json)


def _mark(
    do: "Mark",
    call: "Call",
    targets: list[str] | None,
    categories: list[str] | None,
    *,
    everything: bool,
    as_json: bool,
) -> None:
    from bluefleet.fleet import Settings

    settings = Settings()
    site = declared(settings)
    chosen = some_of(site, targets or [], categories or [], everything=everything)
    _do(do(site, settings, chosen, call), as_json=as_json)


def _do(work: "Coroutine[Any, Any, OperationReport]", *, as_json: bool) -> None:
    show(run(work, "some overrides may be changed and others not; `bluefleet status` shows them"), as_json=as_json)
