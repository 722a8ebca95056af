"""`bluefleet doctor`: a check-up that explains."""

from typing import TYPE_CHECKING, Annotated

import typer

from bluefleet.cli._fleet import ALL_WELL, DEGRADED, INVALID, AsJson, Deadline, console, run

if TYPE_CHECKING:
    from bluefleet.fleet import Check, DoctorReport

app = typer.Typer()

_COLOURS = {"failed": "red", "warning": "yellow", "ok": "green"}


@app.command()
def doctor(
    *,
    days: Annotated[
        float, typer.Option("--override-days", min=0.0, help="Overrides older than that many days are told.")
    ] = 7.0,
    deadline: Deadline = 5.0,
    within: Annotated[float, typer.Option(min=1.0, help="Seconds after which what was not looked at failed.")] = 30.0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only what is not well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at everything: what is wrong, where, what to do. Exit code 1 when something failed; it changes nothing."""
    from bluefleet.fleet import Settings
    from bluefleet.fleet import doctor as check_up
    from bluefleet.site_file import SiteFileInvalid, load_site

    settings = Settings()
    try:
        site = load_site(settings.site_file)
    except SiteFileInvalid as error:
        _print(_unreadable(str(settings.site_file), str(error)), as_json=as_json, quiet=quiet)
        raise typer.Exit(INVALID) from error
    found = run(check_up(site, settings, answer=deadline, within=within, days=days), "nothing was changed")
    _print(found, as_json=as_json, quiet=quiet)
    raise typer.Exit(ALL_WELL if found.ok else DEGRADED)


def _unreadable(file: str, why: str) -> "DoctorReport":
    from bluefleet.fleet import Check, report_of

    remedy = "Correct the inventory and run site.yml: nothing else can be looked at before"
    return report_of("", [Check(check="site file", where=file, outcome="failed", what=why, remedy=remedy)])


def _print(found: "DoctorReport", *, as_json: bool, quiet: bool) -> None:
    if as_json:
        typer.echo(found.model_dump_json())
        return
    out = console()
    for one in found.checks:
        if quiet and one.outcome == "ok":
            continue
        out.print(f"{one.outcome:8}", end="", style=_COLOURS[one.outcome])
        out.print(_words(one), markup=False)
    counts = {name: sum(one.outcome == name for one in found.checks) for name in _COLOURS}
    out.print(f"{counts['failed']} failed, {counts['warning']} to look at, {counts['ok']} well", markup=False)


def _words(one: "Check") -> str:
    to_do = f"\n         to do: {one.remedy}" if one.remedy else ""
    return f" {one.check}, {one.where}: {one.what}{to_do}"
