"""`bluefleet history`: who did what, when, and what came of it."""

from typing import TYPE_CHECKING, Annotated

import typer

from bluefleet.cli._fleet import AsJson, Categories, Targets, chosen_of, console, declared, since_of, with_state

if TYPE_CHECKING:
    from bluefleet.fleet import HistoryEntry

app = typer.Typer()

_COLOURS = {"ok": "green", "failed": "red", "interrupted": "yellow", "unfinished": "yellow"}


@app.command()
def history(
    targets: Targets = None,
    *,
    category: Categories = None,
    who: Annotated[str, typer.Option(help="Only what this person did.")] = "",
    verb: Annotated[str, typer.Option(help="Only this verb.")] = "",
    since: Annotated[str, typer.Option(help="Only since then: 10m, 2h, 3d ago, or 2026-11-20T14:00.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the latest.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Show who did what, when, and what came of it; the latest first."""
    from bluefleet.fleet import HistoryReport, Settings, State
    from bluefleet.fleet import history as log

    settings = Settings()
    site = declared(settings)
    chosen = chosen_of(site, targets or [], category or []) if targets or category else None
    with with_state():
        found = log.entries(
            State(settings.state_file),
            nodes=[one.node.name for one in chosen if one.whole] if chosen else [],
            targets=[name for one in chosen if not one.whole for name in one.names] if chosen else [],
            who=who,
            verb=verb,
            since=since_of(since),
            limit=limit,
        )
    if as_json:
        typer.echo(HistoryReport(site=site.site, entries=found).model_dump_json())
        return
    out = console()
    if not found:
        asked = chosen or who or verb or since
        out.print("nothing is recorded of what was asked for" if asked else "nothing is recorded yet")
    for entry in found:
        out.print(_headline(entry), style=_COLOURS[entry.result], markup=False)
        for line in entry.detail:
            out.print(f"    {line}", markup=False)


def _headline(entry: "HistoryEntry") -> str:
    options = " ".join(f"{name}={value}" for name, value in entry.options.items())
    words = (f"{entry.began:%Y-%m-%d %H:%M:%S} UTC", entry.who, entry.verb, " ".join(entry.targets), options)
    return "  ".join(word for word in (*words, entry.result) if word)
