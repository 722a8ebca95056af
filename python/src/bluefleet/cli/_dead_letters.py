"""`bluefleet documents dead`: what the sinks could not store, with the reason."""

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bluefleet.cli._document_places import Places, places_of, seeing_to
from bluefleet.cli._fleet import ALL_WELL, DEGRADED, AsJson, DryRun, Reason, console, refuse

if TYPE_CHECKING:
    from bluefleet.documents.replay_report import Letter

#: Seconds that the forwarder has to answer: letters are read from Kafka one by one.
ANSWER_WITHIN = 60.0


def dead(
    number: Annotated[int | None, typer.Argument(min=0, metavar="[NUMBER]", help="Only this one, in full.")] = None,
    *,
    dismiss: Annotated[bool, typer.Option("--dismiss", help="It is seen to: never send it again.")] = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Show documents that could not be stored and wait for somebody; exit code 1 when there are any."""
    places = places_of()
    if dismiss and (number is None or not reason):
        refuse("--dismiss needs a letter and a reason", "bluefleet documents dead", "Say NUMBER --dismiss --reason …")
    if number is None:
        letters = letters_of(places)
        if as_json:
            content = {"schema_version": 1, "letters": [letter.model_dump() for letter in letters]}
            typer.echo(json.dumps(content))
        else:
            _show(letters)
        raise typer.Exit(DEGRADED if letters else ALL_WELL)
    letter = _one(places, number)
    if dismiss and not dry_run:
        _dismiss(places, number, reason)
    if as_json:
        typer.echo(json.dumps(letter | {"dismissed": dismiss and not dry_run}, default=str))
    elif dismiss:
        typer.echo(f"dead letter {number} {'would be' if dry_run else 'is'} dismissed: {reason}", err=True)
    else:
        _show_one(letter)


def letters_of(places: Places) -> "list[Letter]":
    """Those that wait, oldest first."""
    from bluefleet.documents.ask import Asker
    from bluefleet.documents.replay_report import Letters

    with seeing_to("the dead letters"):
        said = Asker(places.ca_file).get(places.of_forwarder(), "dead", deadline=ANSWER_WITHIN)
    return Letters.model_validate(said).letters


def named(letter: "Letter") -> str:
    """The document in a letter, in words."""
    event = f" {letter.seq_num}" if letter.seq_num is not None else ""
    return f"{letter.name}{event} of run {letter.run[:8] or '?'}"


def _one(places: Places, number: int) -> dict[str, Any]:
    from bluefleet.documents.ask import Asker

    with seeing_to(f"dead letter {number}"):
        return Asker(places.ca_file).get(places.of_forwarder(), f"dead/{number}", deadline=ANSWER_WITHIN)


def _dismiss(places: Places, number: int, reason: str) -> None:
    from bluefleet.documents.ask import Asker
    from bluefleet.fleet import caller

    content = {"numbers": [number], "reason": f"{reason} ({caller()})"}
    with seeing_to(f"dead letter {number}"):
        Asker(places.ca_file).post(places.of_forwarder(), "dead/dismiss", content, deadline=ANSWER_WITHIN)


def _show(letters: "list[Letter]") -> None:
    from rich.table import Table

    out = console()
    if not letters:
        out.print("no dead letter waits", style="green")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("number", "since", "sink", "document"):
        table.add_column(title, no_wrap=True)
    table.add_column("reason", overflow="fold")
    for letter in letters:
        table.add_row(str(letter.number), _at(letter.time), letter.sink, named(letter), letter.reason)
    out.print(table, markup=False)


def _show_one(letter: dict[str, Any]) -> None:
    for key in ("number", "sink", "name", "run", "offset", "reason"):
        typer.echo(f"{key + ':':<8} {letter[key]}")
    typer.echo(f"since:   {_at(letter['time'])}")
    typer.echo(json.dumps(letter["document"], indent=2, default=str))


def _at(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
