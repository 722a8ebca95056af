"""`bluefleet documents`: follow the document stream, see what waits, verify that a run arrived, send again what did not."""

import itertools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bluefleet.cli import _dead_letters, _replay
from bluefleet.cli._control import addresses_of, need
from bluefleet.cli._document_places import Run, places_of, seeing_to, tell_verdict, verifier_of
from bluefleet.cli._fleet import ALL_WELL, DEGRADED, AsJson, console, refuse
from bluefleet.cli._report import report

if TYPE_CHECKING:
    from bluefleet.documents.backlog import Backlog
    from bluefleet.documents.listener import Heard
    from bluefleet.documents.settings import ListenerSettings

app = typer.Typer(no_args_is_help=True)

#: Seconds that a service has to say what waits.
ANSWER_WITHIN = 10.0


@app.callback()
def documents() -> None:
    """Follow the document stream; see what waits; verify runs, and send them again."""


# -1 is an argument here, and no option.
@app.command(context_settings={"ignore_unknown_options": True})
def verify(
    run: Run,
    wait: Annotated[float, typer.Option(min=0, help="Seconds that a run on its way has to arrive.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Compare what spool, Kafka, Mongo and Tiled hold of a run: exit code 0 when equal, 1 when not."""
    with seeing_to(f"run {run}"):
        verdict = verifier_of(places_of()).verify(run, wait=wait)
    if as_json:
        typer.echo(verdict.model_dump_json())
    tell_verdict(verdict)
    raise typer.Exit(ALL_WELL if verdict.equal else DEGRADED)


@app.command()
def backlog(as_json: AsJson = False) -> None:
    """Show what waits where: in the spools, also of desktops, for Kafka; in Kafka for each sink and the recommender.

    Exit code 1 when something is wrong.
    """
    from bluefleet.documents.ask import Asker
    from bluefleet.documents.backlog import ask_backlog

    places = places_of()
    with seeing_to("the document path"):
        found = ask_backlog(
            Asker(places.ca_file),
            places.forwarder,
            [*places.sinks, *([places.recommender] if places.recommender else [])],
            deadline=ANSWER_WITHIN,
            desktops=places.desktops,
        )
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        _show_backlog(found)
    raise typer.Exit(ALL_WELL if found.ok else DEGRADED)


# -1 is an argument here, too.
app.command(context_settings={"ignore_unknown_options": True})(_replay.replay)
app.command()(_dead_letters.dead)


@app.command()
def listen(
    run: Annotated[str, typer.Option(help="Only runs whose uid begins so.")] = "",
    topic: Annotated[str, typer.Option(help="Another topic, such as <topic>.dead for dead letters.")] = "",
    from_beginning: Annotated[bool, typer.Option(help="All that the topic holds, then what comes.")] = False,
    count: Annotated[int, typer.Option("--count", "-n", min=0, help="End after so many documents; 0 never.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, documents in full.")] = False,
) -> None:
    """Show documents as they come, through the TLS listener; Ctrl-C ends it."""
    need("documents listen", "confluent_kafka", "msgpack", "msgpack_numpy", "numpy")
    from bluefleet.documents.errors import DocumentError
    from bluefleet.documents.listener import Listener

    try:
        listener = Listener(_listener_settings(), topic=topic or None, from_beginning=from_beginning)
        # For a person: until a document comes there is nothing else to see.
        if sys.stderr.isatty():
            which = f" for runs whose uid begins with {run}" if run else ""
            typer.echo(f"waits for documents of {listener.topic}{which}; Ctrl-C ends it", err=True)
        for heard in itertools.islice(listener.messages(run=run), count or None):
            typer.echo(_as_json(heard) if as_json else _as_line(heard))
    except DocumentError as error:
        report(str(error), topic or "the topic of documents", "`bluefleet site` says what to connect to")
        raise typer.Exit(DEGRADED) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(ALL_WELL) from error


def _show_backlog(found: "Backlog") -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("from", "to", "waiting", "oldest"):
        table.add_column(title, justify="right" if title in {"waiting", "oldest"} else "left", no_wrap=True)
    table.add_column("what is wrong", overflow="fold")
    for row in found.waiting:
        waiting = "?" if row.documents is None else str(row.documents)
        oldest = f"{row.oldest_age:.1f} s" if row.documents else ""
        style = "red" if row.reason else "yellow" if row.documents else "green"
        table.add_row(row.source, row.target, waiting, oldest, row.reason, style=style)
    out = console()
    out.print(table, markup=False)
    if found.dead_letters:
        out.print(f"{found.dead_letters} dead letters wait: `bluefleet documents dead` shows them", style="red")


def _listener_settings() -> "ListenerSettings":
    """From BLUEFLEET_KAFKA_… when they are set (any machine with credentials), else from the checkout's site."""
    import os

    from bluefleet.documents.settings import ListenerSettings

    if os.environ.get("BLUEFLEET_KAFKA_BOOTSTRAP"):
        return ListenerSettings.from_environment()
    addresses, folder = addresses_of("documents listen")
    if addresses.kafka is None:
        refuse("the site has no Kafka", str(folder), "Put a host into group acquisition")
    return ListenerSettings(
        site=addresses.site,
        kafka_bootstrap=addresses.kafka.bootstrap,
        kafka_ca_file=Path(addresses.kafka.ca_file),
        kafka_username=addresses.kafka.username,
        kafka_password_file=Path(addresses.kafka.password_file),
    )


def _as_json(heard: "Heard") -> str:
    from bluefleet.documents.codec import plain

    content = {"offset": heard.offset, "run": heard.run, "name": heard.name, "document": plain(heard.document)}
    return json.dumps(content | ({"headers": heard.headers} if heard.headers else {}), default=str)


def _as_line(heard: "Heard") -> str:
    document = heard.document
    if heard.name == "start":
        rest = f"scan {document.get('scan_id')} {document.get('plan_name', '')}"
    elif heard.name == "event":
        values = ", ".join(
            f"{key}={value:.6g}" if isinstance(value, float) else f"{key}={value}"
            for key, value in document["data"].items()
        )
        rest = f"{document['seq_num']} {values}"
    elif heard.name == "stop":
        rest = f"{document.get('exit_status')} {document.get('reason', '')}"
    else:
        rest = str(document.get("name", ""))
    reason = f" — {heard.headers['reason']}" if "reason" in heard.headers else ""
    return f"{heard.offset:>8}  {heard.run[:8]}  {heard.name:<15} {rest}{reason}".rstrip()
