"""`bluefleet examples`: a handful of varied runs, to have data to look at."""

from typing import TYPE_CHECKING, Annotated

import typer

from bluefleet.cli._fleet import AsJson, console
from bluefleet.cli._front_door import FrontDoor, Stages, front_door
from bluefleet.cli._interrupted import interrupted_by_any_end
from bluefleet.cli._of_site import OfSite
from bluefleet.cli._report import SCHEMA_VERSION, answer_error, report

if TYPE_CHECKING:
    from rich.console import Console

    from bluefleet.examples import ExampleRun

app = typer.Typer()


@app.command()
def examples(
    inventory: OfSite = None,
    keep_open: Annotated[
        bool, typer.Option("--keep-open", help="Leave the environment open, also where it was opened for this.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make example data: queue a handful of varied plans, wait for their runs, and read each back.

    What is simulated is moved and read, real hardware is not. A queue in which others' plans run or wait is left alone;
    Ctrl-C, or whatever else ends the command, ends what this has queued and nothing else.
    """
    door = front_door("examples", inventory)
    runs = _made(door, console(stderr=True), keep_open=keep_open)
    if as_json:
        _answer(runs)
    else:
        _show(runs, door, console())


def _made(door: FrontDoor, errors: "Console", *, keep_open: bool) -> "list[ExampleRun]":
    from bluefleet.examples import MARK, Examples, QueueBusy
    from bluefleet.first_scan.queue import Queue
    from bluefleet.first_scan.runs import Runs
    from bluefleet.first_scan.spooled import spooled_events

    acquisition, data = door.hosts
    stages = Stages(errors, 0, bar_width=20)
    try:
        with (
            interrupted_by_any_end(),
            door.failures_told(),
            door.clients() as (to_edge, to_tiled),
            stages.bar,
        ):
            queue, runs = Queue(to_edge, acquisition, MARK), Runs(to_tiled, data)
            made = Examples(queue, runs, lambda: spooled_events(to_edge), door.hosts, door.site, keep_open=keep_open)
            return made.run(stages.show)
    except QueueBusy as error:
        report(str(error), f"{door.edge.url}/api", "Wait until it is done; `bluefleet status` says what the queue does")
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        done = "; ".join(getattr(error, "__notes__", ["its plans are out of the queue"]))
        typer.echo(f"interrupted: {done}; runs that were made are kept", err=True)
        answer_error("interrupted", "this command", done)
        raise typer.Exit(1) from error


def _answer(runs: "list[ExampleRun]") -> None:
    import json

    told = [{"scan_id": run.scan_id, "uid": run.uid, "plan": run.example.name, "points": run.points} for run in runs]
    typer.echo(json.dumps({"schema_version": SCHEMA_VERSION, "ok": True, "runs": told}))


def _show(runs: "list[ExampleRun]", door: FrontDoor, out: "Console") -> None:
    from rich.table import Table

    table = Table("scan", "run", "plan", "points", "what it is", title="All of them are stored", title_justify="left")
    for run in runs:
        table.add_row(str(run.scan_id), run.uid[:8], run.example.name, str(run.points), run.example.shows)
    out.print(table)
    last = runs[-1]
    for line in [
        "Try next:",
        f"  {door.command} documents verify {last.uid[:8]}",
        f'  db["{last.uid[:8]}"]["primary"].read() in the terminal or a notebook: docs/how-to/read-runs.md',
        f"  plans of your own: docs/how-to/queue-plans.md; {door.edge.url}/api",
    ]:
        out.print(line, highlight=False, soft_wrap=True)
