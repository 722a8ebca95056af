"""`bluefleet logs`: what instances wrote."""

from typing import TYPE_CHECKING, Annotated

import typer

from bluefleet.cli._fleet import (
    ALL_WELL,
    DEGRADED,
    AsJson,
    Categories,
    Targets,
    chosen_of,
    declared,
    refuse,
    run,
    since_of,
)

if TYPE_CHECKING:
    from bluefleet.fleet import InstanceLine, Selection, Settings, Wanted
    from bluefleet.model import Site

app = typer.Typer()


@app.command()
def logs(
    targets: Targets = None,
    *,
    category: Categories = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as more is written, through restarts, until Ctrl-C.")
    ] = False,
    since: Annotated[str, typer.Option(help="Only since then: 10m, 2h, 3d ago, or 2026-11-20T14:00.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Also of containers before: what was made anew or taken away.")
    ] = False,
    tail: Annotated[int | None, typer.Option("--tail", "-n", min=1, help="Only so many last lines of each.")] = None,
    times: Annotated[bool, typer.Option("--timestamps", "-t", help="Each line with its time.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what instances wrote: exit code 1 when that of one can't be read. With --follow, JSON is one object a line."""
    from bluefleet.fleet import Settings, Wanted

    settings = Settings()
    site = declared(settings)
    chosen = chosen_of(site, targets or [], category or [])
    if not chosen.placed:
        refuse("what was chosen has no instances", f"site {site.site}", "Name an instance: NODE/INSTANCE")
    wanted = Wanted(since=since_of(since), tail=tail, previous=everything, follow=follow)
    shown = _Shown(labelled=len(chosen.placed) > 1, times=times, as_json=as_json, follow=follow)
    run(_print(site, settings, chosen, wanted, shown), "nothing was changed")
    if as_json and not follow:
        typer.echo(shown.everything(site.site))
    raise typer.Exit(DEGRADED if shown.troubles else ALL_WELL)


async def _print(site: "Site", settings: "Settings", chosen: "Selection", wanted: "Wanted", shown: "_Shown") -> None:
    from bluefleet.fleet import logs as read

    async for line in read(site, settings, chosen, wanted, shown.trouble):
        shown.line(line)


class _Shown:
    """How lines are shown, and what could not be."""

    def __init__(self, *, labelled: bool, times: bool, as_json: bool, follow: bool) -> None:
        self._labelled = labelled
        self._times = times
        self._json = as_json
        self._follow = follow
        self._lines: list[dict[str, str]] = []
        self.troubles: list[str] = []

    def trouble(self, words: str) -> None:
        """Told once, however often it is tried again."""
        if words not in self.troubles:
            self.troubles.append(words)
            typer.echo(f"failed: {words}", err=True)

    def line(self, found: "InstanceLine") -> None:
        line = found.line
        if self._json:
            content = {
                "node": found.node,
                "instance": found.instance,
                "time": line.time,
                **({"stream": line.stream} if line.stream else {}),
                "text": line.text,
            }
            if self._follow:
                typer.echo(_json({"schema_version": 1, **content}))
            else:
                self._lines.append(content)
            return
        label = f"{found.node}/{found.instance} | " if self._labelled else ""
        typer.echo(f"{label}{line.time + ' ' if self._times else ''}{line.text}")

    def everything(self, site: str) -> str:
        return _json({"schema_version": 1, "site": site, "ok": not self.troubles, "lines": self._lines})


def _json(content: object) -> str:
    import json

    return json.dumps(content)
