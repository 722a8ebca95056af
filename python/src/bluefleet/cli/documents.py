"""`bluefleet documents`: follow the document stream, and verify that a run arrived everywhere unchanged."""

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bluefleet.cli._control import addresses_of, need
from bluefleet.cli._fleet import ALL_WELL, DEGRADED, INVALID, AsJson, declared, refuse
from bluefleet.cli._report import report

if TYPE_CHECKING:
    from bluefleet.documents.listener import Heard
    from bluefleet.documents.settings import ListenerSettings
    from bluefleet.documents.verify import Place, Verdict
    from bluefleet.fleet import Settings
    from bluefleet.model import Site

app = typer.Typer(no_args_is_help=True)


@app.callback()
def documents() -> None:
    """Follow the document stream, or verify a run."""


# -1 is an argument here, and no option.
@app.command(context_settings={"ignore_unknown_options": True})
def verify(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Uid or its beginning, scan id, or -1 for the last run.")],
    wait: Annotated[float, typer.Option(min=0, help="Seconds that a run on its way has to arrive.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Compare what spool, Kafka, Mongo and Tiled hold of a run: exit code 0 when equal, 1 when not."""
    from bluefleet.documents.errors import DocumentError, RunNotFound, SettingsWrong
    from bluefleet.documents.verify import Verifier
    from bluefleet.fleet import Settings

    settings = Settings()
    try:
        verdict = Verifier(_places(declared(settings), settings), settings.site_ca).verify(run, wait=wait)
    except (RunNotFound, SettingsWrong) as error:
        report(str(error), f"run {run}", "Name a run by its uid, its scan id, or by -1, -2 … from the last")
        raise typer.Exit(INVALID) from error
    except DocumentError as error:
        report(str(error), f"run {run}", "`bluefleet status` says which service is not well")
        raise typer.Exit(DEGRADED) from error
    if as_json:
        typer.echo(verdict.model_dump_json())
    _tell(verdict)
    raise typer.Exit(ALL_WELL if verdict.equal else DEGRADED)


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
        for heard in itertools.islice(listener.messages(run=run), count or None):
            typer.echo(_as_json(heard) if as_json else _as_line(heard))
    except DocumentError as error:
        report(str(error), topic or "the topic of documents", "`bluefleet site` says what to connect to")
        raise typer.Exit(DEGRADED) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(ALL_WELL) from error


def _places(site: "Site", settings: "Settings") -> list["Place"]:
    """Spool and Kafka answer at the edge of the acquisition pod, the databases at that of the data pod."""
    from bluefleet.documents.verify import Place

    places: list[Place] = []
    if site.pods.acquisition is not None:
        edge = f"https://{site.pods.acquisition.address}/documents"
        key = settings.queue_api_key
        places += [Place("spool", f"{edge}/runs", key), Place("kafka", f"{edge}/kafka", key)]
    if site.pods.data is not None:
        edge = f"https://{site.pods.data.address}/sinks"
        key = settings.tiled_api_key
        places += [Place("mongo", f"{edge}/mongo/runs", key), Place("tiled", f"{edge}/tiled/runs", key)]
    if not places:
        refuse("the site has no pods", str(settings.site_file), "Put hosts into groups acquisition and data")
    return places


def _tell(verdict: "Verdict") -> None:
    counts = ", ".join(f"{count} events in {name}" for name, count in verdict.streams.items()) or "no events"
    typer.echo(f"run {verdict.run} (scan {verdict.scan_id}, {verdict.exit_status or 'open'}): {counts}", err=True)
    if verdict.equal:
        places = [name for name, digest in verdict.places.items() if digest is not None]
        typer.echo(f"equal in {', '.join(places)}", err=True)
    for text in verdict.differences:
        typer.echo(f"  differs: {text}", err=True)
    for text in verdict.notes:
        typer.echo(f"  note: {text}", err=True)


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
