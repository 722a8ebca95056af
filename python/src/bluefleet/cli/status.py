"""`bluefleet status`: every node and instance, worst first."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from bluefleet.cli._fleet import (
    ALL_WELL,
    DEGRADED,
    AsJson,
    Categories,
    Deadline,
    Targets,
    chosen_of,
    console,
    declared,
    run,
)

if TYPE_CHECKING:
    from rich.text import Text

    from bluefleet.fleet import InstanceStatus, NodeStatus, StatusReport

app = typer.Typer()

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


@app.command()
def status(
    targets: Targets = None,
    *,
    category: Categories = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again and again, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.2, help="With --watch: seconds between two looks.")] = 2.0,
    disk: Annotated[
        bool, typer.Option("--disk", help="Measure the nodes' disks; else the last measure is shown.")
    ] = False,
    deadline: Deadline = 5.0,
    as_json: AsJson = False,
) -> None:
    """Show every node and instance, worst first: exit code 1 when something is not as it should be.

    With --watch, JSON is one object a line and a look.
    """
    from bluefleet.fleet import Settings

    settings = Settings()

    def look() -> "StatusReport":
        from bluefleet.fleet import status as ask

        site = declared(settings)
        chosen = chosen_of(site, targets or [], category or [])
        return run(ask(site, settings, deadline=deadline, chosen=chosen, measure_disks=disk), "nothing was changed")

    found = look()
    try:
        while watch:
            _print(found, as_json=as_json, afresh=True)
            time.sleep(every)
            found = look()
    except KeyboardInterrupt:
        pass
    else:
        _print(found, as_json=as_json, afresh=False)
    raise typer.Exit(ALL_WELL if found.ok else DEGRADED)


def _print(found: "StatusReport", *, as_json: bool, afresh: bool) -> None:
    if as_json:
        typer.echo(found.model_dump_json())
        return
    out = console()
    if afresh and out.is_terminal:
        out.clear()
    _show(found)


def _show(found: "StatusReport") -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("", "state", "health", "up", "restarts", "image", "what is wrong"):
        table.add_column(heading, no_wrap=heading not in {"what is wrong"})
    for node in found.nodes:
        table.add_row(*_node_row(node), style="dim" if node.disabled else "bold")
        for instance in node.instances:
            table.add_row(*_instance_row(instance))
    out = console()
    out.print(table)
    sick = sum(not node.ok for node in found.nodes)
    nodes = "1 node" if len(found.nodes) == 1 else f"{len(found.nodes)} nodes"
    out.print(f"\n{nodes}, {f'{sick} not well' if sick else 'all well'}")
    devices = found.devices
    words = f": {devices.detail}" if devices.detail else ""
    pending = f" ({', '.join(devices.pending)})" if devices.pending else ""
    out.print(f"{devices.declared} devices, {devices.state}{pending}{words}", markup=False)
    for device, reason in devices.unreachable.items():
        out.print(f"  {device}: {reason}", style="red", markup=False)
    if found.documents:
        said = ("no answer" if one.waiting is None else f"{one.waiting} waiting" for one in found.documents)
        parts = (f"{one.name} {words}" for one, words in zip(found.documents, said, strict=True))
        out.print(f"documents: {', '.join(parts)}", markup=False)
    for one in found.documents:
        if one.reason:
            out.print(f"  {one.name}: {one.reason}", style="red", markup=False)


def _node_row(node: "NodeStatus") -> list["str | Text"]:
    state = _coloured("answers", "green") if node.reachable else _coloured("no answer", "red")
    wrong = [f"{node.reason}. {node.remedy}"] if node.reason else []
    wrong += [*node.problems, *(one.words for one in node.overrides)]
    wrong += [f"{node.busy} works on it"] if node.busy else []
    version = f"engine {node.engine_version}" if node.engine_version else ""
    disk = f"{node.disk.free / 2**30:.0f} GB free" if node.disk else ""
    return [f"{node.name} ({node.address})", state, disk, "", "", version, "; ".join(wrong)]


def _instance_row(instance: "InstanceStatus") -> list["str | Text"]:
    colour = "dim" if instance.overrides else "green"
    if not instance.ok:
        colour = "red" if instance.state != "running" else "yellow"
    words = [instance.reason] if instance.reason else []
    words += [one.words for one in instance.overrides if one.instance and one.words not in instance.reason]
    silent = len(instance.devices_silent)
    words += [f"{silent} of {instance.devices} devices do not answer"] if silent else []
    return [
        f"  {instance.name}",
        _coloured(instance.state, colour),
        _coloured(instance.health or "-", colour),
        _uptime(instance.uptime_seconds),
        str(instance.restarts or "-"),
        instance.digest.removeprefix("sha256:")[:12] or "-",
        "; ".join(words),
    ]


def _coloured(text: str, colour: str) -> "Text":
    from rich.text import Text

    return Text(text, style=colour)


def _uptime(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, letter in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {letter}"
    return f"{max(seconds, 0):.0f} s"
