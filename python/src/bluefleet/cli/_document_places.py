"""What the verbs of `bluefleet documents` have in common: where services answer, how a run is named, what errors mean."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from bluefleet.cli._fleet import DEGRADED, INVALID, declared, refuse
from bluefleet.cli._report import report

if TYPE_CHECKING:
    from bluefleet.documents.ask import Place
    from bluefleet.documents.verify import Verdict, Verifier

Run: TypeAlias = Annotated[
    str,
    typer.Argument(metavar="RUN", help="Uid or its beginning, scan id, or -1 for the run of the site that began last."),
]
NAMING = "Name a run by its uid, its scan id, or by -1, -2 … from the last"


@dataclass(frozen=True)
class Places:
    """Spool and Kafka answer at the edge of the acquisition pod, the databases at that of the data pod."""

    ca_file: Path
    forwarder: "Place | None" = None
    sinks: list["Place"] = field(default_factory=list["Place"])
    #: What a run is compared in.
    stores: list["Place"] = field(default_factory=list["Place"])
    #: Who knows what a scan id, -1 or the beginning of a uid means; and Kafka, for what they don't know yet.
    indexes: list["Place"] = field(default_factory=list["Place"])
    topic: "Place | None" = None
    #: The recommender follows the documents as sinks do, and stores nothing.
    recommender: "Place | None" = None
    desktops: list[str] = field(default_factory=list[str])

    def of_forwarder(self) -> "Place":
        """The forwarder; exit code 2 where there is none."""
        if self.forwarder is None:
            refuse("the site has no forwarder", "its acquisition pod", "Put a host into group acquisition")
        return self.forwarder


def places_of() -> Places:
    """Where the site's services answer; a site without any ends the command with exit code 2."""
    from bluefleet.documents.ask import Place
    from bluefleet.fleet import Settings

    settings = Settings()
    site = declared(settings)
    forwarder, topic, recommender = None, None, None
    sinks, stores, indexes = list[Place](), list[Place](), list[Place]()
    if site.pods.acquisition is not None:
        recommender = Place("recommender", f"https://{site.pods.acquisition.address}/recommender")
        edge = f"https://{site.pods.acquisition.address}/documents"
        key = settings.queue_api_key
        forwarder = Place("forwarder", edge, key)
        stores += [Place("spool", f"{edge}/runs", key), Place("kafka", f"{edge}/kafka", key)]
        indexes.append(Place("spool", f"{edge}/named", key))
        topic = Place("kafka", f"{edge}/started", key)
    if site.pods.data is not None:
        edge = f"https://{site.pods.data.address}/sinks"
        key = settings.tiled_api_key
        sinks = [Place(f"{name}-sink", f"{edge}/{name}", key) for name in ("mongo", "tiled")]
        stores += [Place(name, f"{edge}/{name}/runs", key) for name in ("mongo", "tiled")]
        indexes += [Place(name, f"{edge}/{name}/named", key) for name in ("mongo", "tiled")]
    if not stores:
        refuse("the site has no pods", str(settings.site_file), "Put hosts into groups acquisition and data")
    desktops = site.hosts_in("desktops")
    return Places(settings.site_ca, forwarder, sinks, stores, indexes, topic, recommender, desktops)


def verifier_of(places: Places) -> "Verifier":
    """Compares runs in all stores."""
    from bluefleet.documents.verify import Verifier

    return Verifier(places.stores, places.ca_file, indexes=places.indexes, topic=places.topic)


@contextmanager
def seeing_to(where: str) -> Generator[None]:
    """Tell what goes wrong in three lines: exit code 2 for what is not there, 1 for what does not answer."""
    from bluefleet.documents.errors import DocumentError, NotFound, RunNotFound, SettingsWrong

    try:
        yield
    except (NotFound, SettingsWrong) as error:
        remedy = NAMING if isinstance(error, RunNotFound) else "`bluefleet documents dead` shows those that wait"
        report(str(error), where, "Run site.yml, which puts it there" if isinstance(error, SettingsWrong) else remedy)
        raise typer.Exit(INVALID) from error
    except DocumentError as error:
        report(str(error), where, "`bluefleet documents backlog` says which service is not well")
        raise typer.Exit(DEGRADED) from error


def tell_verdict(verdict: "Verdict") -> None:
    """A comparison, in words."""
    counts = ", ".join(f"{count} events in {name}" for name, count in verdict.streams.items()) or "no events"
    typer.echo(f"run {verdict.run} (scan {verdict.scan_id}, {verdict.exit_status or 'open'}): {counts}", err=True)
    if verdict.equal:
        places = [name for name, digest in verdict.places.items() if digest is not None]
        typer.echo(f"equal in {', '.join(places)}", err=True)
    for text in verdict.differences:
        typer.echo(f"  differs: {text}", err=True)
    for text in verdict.notes:
        typer.echo(f"  note: {text}", err=True)
