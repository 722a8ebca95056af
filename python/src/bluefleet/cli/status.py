"""`bluefleet status`: every node and instance, worst first."""

from collections import Counter
from time import sleep
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
    from collections.abc import Sequence

    from rich.console import Console
    from rich.text import Text

    from bluefleet.fleet import (
        DevicesStatus,
        Disk,
        DocumentService,
        InstanceStatus,
        NodeStatus,
        Override,
        QueueStatus,
        StatusReport,
    )

app = typer.Typer()

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
# On a terminal of fewer columns the reasons need the room of the images, which `bluefleet images` shows, too.
_ROOM_FOR_IMAGES = 100


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
            sleep(every)
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

    out = console()
    with_image = out.width >= _ROOM_FOR_IMAGES
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("", "state", "up", *(["image"] if with_image else [])):
        table.add_column(heading, no_wrap=True)
    table.add_column("remarks", overflow="fold")
    for node in found.nodes:
        *state, remarks = _node_row(node)
        table.add_row(*state, *([""] if with_image else []), remarks, style="dim" if node.disabled else "bold")
        for instance in node.instances:
            *state, remarks = _instance_row(instance)
            table.add_row(*state, *([_short(instance.digest)] if with_image else []), remarks)
    out.print(table)
    out.print()
    _show_orphans(found.orphans, out)
    _show_devices(found.devices, out)
    _show_queue(found.queue, out)
    _show_documents(found.documents, out)
    if found.service is not None and found.service.reason:
        out.print(f"fleet service: {found.service.reason}", style="red", markup=False)
        out.print(
            "  nothing that ends is started again; `systemctl status bluefleet-fleet` on the manager", markup=False
        )
    colour, words = ("green", "all well") if found.ok else ("red", f"not well: {', '.join(found.not_well)}")
    out.print(f"{_counted(len(found.nodes), 'node')}, {words}{_overridden(found)}", style=colour, markup=False)


def _overridden(found: "StatusReport") -> str:
    """What is well only because an operator wants it so is counted in the same breath."""
    kinds = Counter(("node", one.kind) for node in found.nodes for one in node.overrides)
    for node in found.nodes:
        kinds.update(
            ("instance", one.kind) for instance in node.instances for one in instance.overrides if one.instance
        )
    if not kinds:
        return ""
    parts = (f"{_counted(number, what)} {kind}" for (what, kind), number in sorted(kinds.items()))
    return f"; {', '.join(parts)} by {'an override' if kinds.total() == 1 else 'overrides'}"


def _show_orphans(orphans: "Sequence[Override]", out: "Console") -> None:
    for one in orphans:
        # The slash says that a node is meant.
        target = one.place if one.instance else f"{one.node}/"
        words = f"{one.place} is not declared, but {one.words}; `bluefleet clear {target}` takes that away"
        out.print(words, style="dim", markup=False)


def _show_devices(devices: "DevicesStatus", out: "Console") -> None:
    words = f": {devices.detail}" if devices.detail else ""
    pending = f" ({', '.join(devices.pending)})" if devices.pending else ""
    out.print(f"{_counted(devices.declared, 'device')}, {devices.state}{pending}{words}", markup=False)
    for device, reason in devices.unreachable.items():
        out.print(f"  {device}: {reason}", style="red", markup=False)


def _show_queue(queue: "QueueStatus | None", out: "Console") -> None:
    if queue is None:
        return
    does = "runs" if queue.state == "executing_queue" else f"is {queue.state}"
    now = f"{queue.running} {does}" if queue.running else queue.state
    out.print(f"queue: {now}, {_counted(queue.waiting, 'plan')} waiting", markup=False)
    if queue.reason:
        out.print(f"  queue: {queue.reason}", style="red", markup=False)
    if queue.failed:
        failed = queue.failed
        runs = f", run {', '.join(uid[:8] for uid in failed.runs)}" if failed.runs else ""
        words = f"  {failed.name} {failed.exit_status} at {failed.ended:%Y-%m-%d %H:%M:%S} UTC{runs}"
        out.print(words + (f": {failed.reason}" if failed.reason else ""), style="yellow", markup=False)
        out.print("  the queue stopped; the plan waits in it again, and runs when the queue is started", markup=False)


def _show_documents(services: "Sequence[DocumentService]", out: "Console") -> None:
    if services:
        said = ("no answer" if one.waiting is None else f"{one.waiting} waiting" for one in services)
        parts = (f"{one.name} {words}" for one, words in zip(services, said, strict=True))
        out.print(f"documents: {', '.join(parts)}", markup=False)
    for one in services:
        if one.reason:
            out.print(f"  {one.name}: {one.reason}", style="red", markup=False)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _node_row(node: "NodeStatus") -> list["str | Text"]:
    state = _coloured("answers", "green") if node.reachable else _coloured("no answer", "red")
    words = [f"{node.reason}. {node.remedy}"] if node.reason else []
    words += [*node.problems, *(one.words for one in node.overrides)]
    words += [f"{node.busy} works on it"] if node.busy else []
    words += [_disk(node.disk)] if node.disk or node.reachable else []
    told = any("clock" in words for words in node.problems)
    words += [_clock(node.clock_skew_seconds)] if node.clock_skew_seconds is not None and not told else []
    words += [f"engine {node.engine_version}"] if node.engine_version else []
    return [f"{node.name} ({node.address})", state, "", _literally("; ".join(words))]


def _disk(disk: "Disk | None") -> str:
    """As it was when somebody asked: an engine does not tell by itself."""
    from datetime import UTC, datetime

    if disk is None:
        return "disk not measured (--disk)"
    age = (datetime.now(UTC) - disk.seen).total_seconds()
    when = f" {_uptime(age)} ago" if age >= _MINUTE else ""
    return f"{disk.free / 1e9:.0f} GB free{when}"


def _clock(skew: float) -> str:
    """Answers tell whole seconds: less than one is none."""
    return f"clock {abs(skew):.1f} s {'ahead' if skew > 0 else 'behind'}" if skew else "clock right"


def _short(digest: str) -> str:
    """As `bluefleet images` has it."""
    return digest.removeprefix("sha256:")[:12]


def _instance_row(instance: "InstanceStatus") -> list["str | Text"]:
    colour = "dim" if instance.overrides else "green"
    if not instance.ok:
        colour = "red" if instance.state != "running" else "yellow"
    words = [instance.reason] if instance.reason else []
    words += [one.words for one in instance.overrides if one.instance and one.words not in instance.reason]
    if not any(one.kind == "simulated" for one in instance.overrides):
        words += [instance.simulated] if instance.simulated else []
    silent = len(instance.devices_silent)
    words += [f"{silent} of {_counted(instance.devices, 'device')} {_do(silent)} not answer"] if silent else []
    words += (
        [f"restarted {instance.restarts} times"]
        if instance.restarts and instance.state == "running" and instance.ok
        else []
    )
    return [
        f"  {instance.name}",
        # What is healthy, unhealthy or starting runs.
        _coloured(instance.health if instance.state == "running" and instance.health else instance.state, colour),
        _uptime(instance.uptime_seconds),
        _literally("; ".join(words)),
    ]


def _do(number: int) -> str:
    return "does" if number == 1 else "do"


def _literally(text: str) -> "Text":
    """Words of others may hold what rich would take for markup."""
    from rich.text import Text

    return Text(text, style="not bold")


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
