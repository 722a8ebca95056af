"""`bluefleet documents replay`: send a run, or dead letters, to the sinks again."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from bluefleet.cli._dead_letters import letters_of, named
from bluefleet.cli._document_places import Places, places_of, seeing_to, tell_verdict, verifier_of
from bluefleet.cli._fleet import ALL_WELL, DEGRADED, AsJson, DryRun, refuse
from bluefleet.cli._report import report

if TYPE_CHECKING:
    from bluefleet.documents.replay_report import Letter, Replayed
    from bluefleet.documents.verify import Verdict

#: Seconds that a run has to get into Kafka: 100,000 documents take some ten.
SENT_WITHIN = 600.0
ANSWER_WITHIN = 10.0
AGAIN_AFTER = 0.5
#: Letters in one request.
AT_ONCE = 100


def replay(
    run: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]", help="Uid or its beginning, scan id, or -1 for the run of the site that began last."
        ),
    ] = "",
    *,
    dead: Annotated[bool, typer.Option("--dead", help="Dead letters instead: all that wait, or those of RUN.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds that the sinks have to store it.")] = 60.0,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send a run, or dead letters, to the sinks again; they store what they lack, and nothing twice.

    Exit code 0 when everything is stored then, 1 when not.
    """
    if not run and not dead:
        refuse("nothing is named", "bluefleet documents replay", "Name a RUN, or say --dead for the dead letters")
    places = places_of()
    if dead:
        _replay_letters(places, run, wait, dry_run=dry_run, as_json=as_json)
    else:
        _replay_run(places, run, wait, dry_run=dry_run, as_json=as_json)


def _replay_run(places: Places, reference: str, wait: float, *, dry_run: bool, as_json: bool) -> None:
    from bluefleet.documents.ask import Asker
    from bluefleet.documents.errors import NotFound, RunNotFound
    from bluefleet.documents.replay_report import Replayed

    asker, forwarder = Asker(places.ca_file), places.of_forwarder()
    with seeing_to(f"run {reference}"):
        uid = verifier_of(places).resolve(reference)
        try:
            if dry_run:
                said = asker.get(forwarder, f"replay/{uid}", deadline=SENT_WITHIN)
            else:
                said = asker.post(forwarder, f"replay/{uid}", {}, deadline=SENT_WITHIN)
        except NotFound as error:
            raise RunNotFound(str(error)) from error
    sent = Replayed.model_validate(said)
    doing = "would be sent" if dry_run else "sent"
    typer.echo(f"run {uid}: {sent.documents} documents {doing} again from {sent.source}", err=True)
    verdict = None
    if not dry_run:
        _until_stored(places, sent.end, wait)
        with seeing_to(f"run {reference}"):
            verdict = verifier_of(places).verify(uid, wait=wait)
        tell_verdict(verdict)
    _end(sent, as_json=as_json, verdict=verdict)


def _replay_letters(places: Places, run: str, wait: float, *, dry_run: bool, as_json: bool) -> None:
    from bluefleet.documents.ask import Asker
    from bluefleet.documents.replay_report import Replayed

    letters = letters_of(places)
    known = {letter.number for letter in letters}
    if run:
        with seeing_to(f"run {run}"):
            uid = verifier_of(places).resolve(run)
        letters = [letter for letter in letters if letter.run == uid]
    total = Replayed(source="dead letters", documents=0)
    asker, forwarder = Asker(places.ca_file), places.of_forwarder()
    for letter in letters:
        typer.echo(f"{'would be sent' if dry_run else 'sent'} again: {letter.number}, {named(letter)}", err=True)
    if not letters:
        typer.echo("no dead letter waits", err=True)
    for numbers in _portions(letters if not dry_run else []):
        with seeing_to("the dead letters"):
            said = asker.post(forwarder, "dead/replay", {"numbers": numbers}, deadline=SENT_WITHIN)
        sent = Replayed.model_validate(said)
        total.documents += sent.documents
        total.end = max(total.end or 0, sent.end or 0) or None
        total.refused += sent.refused
        total.unreadable += sent.unreadable
    back: list[Letter] = []
    if total.end is not None:
        _until_stored(places, total.end, wait)
        back = [letter for letter in letters_of(places) if letter.number not in known]
    for letter in back:
        typer.echo(f"came back as {letter.number}, {named(letter)}: {letter.reason}", err=True)
    for number in total.unreadable:
        typer.echo(f"not sent: the bytes of {number} are no document; `dead {number} --dismiss` puts it away", err=True)
    _end(total, as_json=as_json, back=back)


def _portions(letters: "Sequence[Letter]") -> Iterator[list[int]]:
    """In the order in which their documents came."""
    numbers = [letter.number for letter in sorted(letters, key=lambda letter: letter.offset)]
    yield from (numbers[begin : begin + AT_ONCE] for begin in range(0, len(numbers), AT_ONCE))


def _until_stored(places: Places, end: int | None, wait: float) -> None:
    """Return when every sink has come by the last of it; exit code 1 when that takes too long."""
    from bluefleet.documents.ask import Asker
    from bluefleet.documents.errors import DocumentError

    asker = Asker(places.ca_file)
    deadline = time.monotonic() + wait
    for sink in places.sinks:
        while end is not None:
            try:
                said = asker.get(sink, "status", deadline=ANSWER_WITHIN)
                late = "" if said["position"] >= end else f"is at {said['position']} of {end} {said['problems'] or ''}"
            except DocumentError as error:
                late = str(error)
            if not late:
                break
            if time.monotonic() >= deadline:
                what = f"{sink.name} has not stored it within {wait:g} s: {late}"
                report(what, sink.url, "It will, in time; `bluefleet documents backlog` says what it waits for")
                raise typer.Exit(DEGRADED)
            time.sleep(AGAIN_AFTER)


def _end(sent: "Replayed", *, as_json: bool, verdict: "Verdict | None" = None, back: "Sequence[Letter]" = ()) -> None:
    for reason in sent.refused:
        typer.echo(f"Kafka refused one: {reason}", err=True)
    equal = verdict is None or verdict.equal
    if as_json:
        import json

        told = {"verdict": verdict.model_dump()} if verdict else {}
        came_back = [letter.model_dump() for letter in back]
        typer.echo(json.dumps(sent.model_dump() | told | {"came_back": came_back}, default=str))
    well = equal and not (sent.refused or sent.unreadable or back)
    raise typer.Exit(ALL_WELL if well else DEGRADED)
