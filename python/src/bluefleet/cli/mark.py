"""`bluefleet enable`, `disable`, `cordon` and `clear`."""

from typing import TYPE_CHECKING, Annotated

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
    refuse,
    run,
    some_of,
)
from bluefleet.cli._operation import show

if TYPE_CHECKING:
    from bluefleet.fleet import OverrideKind

enable, disable, cordon, clear = typer.Typer(), typer.Typer(), typer.Typer(), typer.Typer()

_UNFINISHED = "some overrides may be changed and others not; `bluefleet status` shows them"


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
    from bluefleet.fleet import Call, Settings
    from bluefleet.fleet import enable as do

    settings = Settings()
    site = declared(settings)
    chosen = some_of(site, targets or [], category or [], everything=everything)
    call = Call("enable", wait=wait, dry_run=dry_run, reason=reason)
    show(run(do(site, settings, chosen, call), _UNFINISHED), as_json=as_json)


@disable.command(name="disable")
def disable_(
    targets: Targets = None,
    *,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; status, history and refused plans tell it.")],
    category: Categories = None,
    everything: Everything = False,
    dry_run: DryRun = False,
    wait: Wait = 10.0,
    as_json: AsJson = False,
) -> None:
    """Take nodes or instances out of use: plans are refused their devices, apply leaves them alone.

    It stops nothing. Their troubles do not count in status until `enable` or `clear`.
    """
    from bluefleet.fleet import Call, Settings
    from bluefleet.fleet import disable as do

    settings = Settings()
    site = declared(settings)
    chosen = some_of(site, targets or [], category or [], everything=everything)
    if not reason.strip():
        refuse("the reason is empty", "--reason", "Say why: the next operator reads it in `bluefleet status`")
    call = Call("disable", wait=wait, dry_run=dry_run, reason=reason)
    show(run(do(site, settings, chosen, call), _UNFINISHED), as_json=as_json)


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
    from bluefleet.fleet import Call, Settings
    from bluefleet.fleet import cordon as do

    settings = Settings()
    site = declared(settings)
    chosen = some_of(site, targets or [], category or [], everything=everything)
    call = Call("cordon", wait=wait, dry_run=dry_run, reason=reason)
    show(run(do(site, settings, chosen, call), _UNFINISHED), as_json=as_json)


@clear.command(name="clear")
def clear_(
    targets: Targets = None,
    *,
    category: Categories = None,
    everything: Everything = False,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", "-k", help="Only this kind: stopped, disabled, cordoned, pinned, simulated."),
    ] = None,
    reason: Reason = "",
    dry_run: DryRun = False,
    wait: Wait = 10.0,
    as_json: AsJson = False,
) -> None:
    """Take overrides away. It starts and changes nothing: `bluefleet apply` makes what is declared true again."""
    from bluefleet.fleet import OVERRIDE_KINDS, Call, Settings
    from bluefleet.fleet import clear as do

    settings = Settings()
    site = declared(settings)
    chosen = some_of(site, targets or [], category or [], everything=everything)
    unknown = [one for one in kind or [] if one not in OVERRIDE_KINDS]
    if unknown:
        refuse(f"no override is called {' or '.join(unknown)}", "--kind", f"There are {', '.join(OVERRIDE_KINDS)}")
    kinds: list[OverrideKind] = [one for one in OVERRIDE_KINDS if not kind or one in kind]
    call = Call("clear", wait=wait, dry_run=dry_run, reason=reason)
    show(run(do(site, settings, chosen, call, kinds), _UNFINISHED), as_json=as_json)
