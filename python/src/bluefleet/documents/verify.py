"""Is a run equal in spool, Kafka, Mongo and Tiled, and where not? Each place sums up what it holds; this compares.

Needs nothing but the standard library and pydantic: it runs on the manager. The spool's word is what the others are
measured by; once delivered documents have left the spool, Kafka's is.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel, ValidationError

from bluefleet.documents.ask import Asker, Place, in_a_row
from bluefleet.documents.errors import NotFound, RunNotFound, Unavailable
from bluefleet.documents.resolving import Resolver
from bluefleet.documents.run_digest import RunDigest, StreamDigest

#: A long run is summed up in this time. Seconds.
DEADLINE = 120.0
AGAIN_AFTER = 0.5
#: The place that knows what was taken on the manager only.
SPOOL = "spool"


class Verdict(BaseModel):
    """The comparison of one run."""

    schema_version: int = 1
    run: str
    scan_id: int | None
    exit_status: str | None
    equal: bool
    #: Events a stream, by the place the others are measured by.
    streams: dict[str, int]
    #: In words, what differs and where.
    differences: list[str]
    #: What is no difference and worth saying.
    notes: list[str]
    places: dict[str, RunDigest | None]


class Verifier:
    """Asks the places for `<url>/<uid>`; the first two measure the others. What a shorter name means, `indexes` know
    and, of runs that are on their way to them, `topic`.
    """

    def __init__(
        self,
        places: Sequence[Place],
        ca_file: Path | None,
        *,
        indexes: Sequence[Place] = (),
        topic: Place | None = None,
    ) -> None:
        self._places = places
        self._asker = Asker(ca_file)
        self._resolver = Resolver(self._asker, indexes, topic)

    def verify(self, reference: str, *, wait: float = 0.0) -> Verdict:
        """The verdict; a run that is still on its way gets `wait` seconds to arrive.

        Raises RunNotFound when no place knows the run, Unavailable when none answers.
        """
        run, silent = self._resolver.resolve(reference)
        notes = [f"{text}; another run may be meant" for text in silent]
        deadline = time.monotonic() + wait
        while True:
            verdict = self._compare(run, notes)
            if verdict.equal or time.monotonic() >= deadline:
                return verdict
            time.sleep(AGAIN_AFTER)

    def resolve(self, reference: str) -> str:
        """The uid of the run that is meant. Raises RunNotFound, Unavailable."""
        return self._resolver.resolve(reference)[0]

    def _compare(self, run: str, notes: Sequence[str]) -> Verdict:
        held: dict[str, RunDigest | None] = {}
        without: dict[str, str] = {}
        silent: list[str] = []
        for place in self._places:
            held[place.name] = None
            try:
                held[place.name] = self._ask(place, run)
            except Unavailable as error:
                silent.append(f"{place.name} does not answer: {error}")
            except RunNotFound as error:
                without[place.name] = str(error)
        measure = next((name for name in held if held[name] is not None), None)
        if measure is None:
            _raise_nowhere(run, without, silent)
        expected = held[measure] or RunDigest(run=run)
        desktop = next((each.desktop for each in held.values() if each is not None and each.desktop), "")
        if desktop and SPOOL in without:
            without[SPOOL] = f"on desktop {desktop}, not looked at"
        # Spool and topic forget in time, databases never.
        forgetful = {place.name for place in self._places[:2]}
        differences = [*silent, *(f"{name}: {text}" for name, text in without.items() if name not in forgetful)]
        notes = [*notes, *(f"{name}: {text}" for name, text in without.items() if name in forgetful)]
        if measure not in forgetful:
            differences.append("neither spool nor Kafka holds it: there is nothing to measure the databases by")
        for name, digest in held.items():
            if digest is not None and name != measure:
                differences += [f"{name}: {text}" for text in differing(expected, digest, measure)]
        if expected.stop is None:
            notes.append("the run is still open")
        return Verdict(
            run=expected.run,
            scan_id=expected.scan_id,
            exit_status=expected.exit_status,
            equal=not differences,
            streams={name: stream.events for name, stream in expected.streams.items()},
            differences=differences,
            notes=notes,
            places=held,
        )

    def _ask(self, place: Place, reference: str) -> RunDigest:
        try:
            return RunDigest.model_validate(self._asker.get(place, reference, deadline=DEADLINE))
        except NotFound as error:
            raise RunNotFound(str(error)) from error
        except ValidationError as error:
            raise Unavailable(f"{place.url}: what answers is not {place.name}") from error


def _raise_nowhere(run: str, without: Mapping[str, str], silent: Sequence[str]) -> NoReturn:
    """No place has it: each says so in the same words, but for what it knows beyond that."""
    if not without:
        raise Unavailable("; ".join(silent))
    more = [f"{name}: {said}" for name, said in without.items() if not said.startswith("no run")]
    raise RunNotFound(
        "; ".join([f"no run {run} in {in_a_row(without)}" + (f" ({'; '.join(more)})" if more else ""), *silent])
    )


def differing(expected: RunDigest, found: RunDigest, measure: str) -> list[str]:
    """In words, where two places differ."""
    texts: list[str] = []
    for what in ("start", "stop"):
        mine, other = getattr(expected, what), getattr(found, what)
        if mine != other:
            texts.append(_presence(f"{what} document", mine, other, measure))
    if None not in (expected.references, found.references) and expected.references != found.references:
        texts.append(f"resources and datums are not those of {measure}")
    texts += [f"stream {name} is missing" for name in expected.streams if name not in found.streams]
    texts += [f"stream {name} is not in {measure}" for name in found.streams if name not in expected.streams]
    for name in expected.streams.keys() & found.streams.keys():
        texts += [f"stream {name}: {text}" for text in _streams(expected.streams[name], found.streams[name], measure)]
    return texts


def _streams(expected: StreamDigest, found: StreamDigest, measure: str) -> list[str]:
    texts: list[str] = []
    # An event that was taken again after a pause is there beside the first one, everywhere.
    if doubled := sorted(set(found.doubled).difference(expected.doubled)):
        texts.append(f"events {_few(doubled)} are there more than once")
    if lacking := sorted(set(expected.doubled).difference(found.doubled)):
        texts.append(f"events {_few(lacking)} are not there as often as in {measure}")
    if expected.seq_nums != found.seq_nums:
        texts.append(f"has events {found.seq_nums or 'none'}, {measure} has {expected.seq_nums or 'none'}")
    elif expected.data != found.data:
        texts.append(f"values, times or timestamps are not those of {measure}")
    if sorted(expected.descriptors) != sorted(found.descriptors):
        texts.append(f"has {len(found.descriptors)} descriptors, {measure} has {len(expected.descriptors)} or others")
    if expected.external != found.external:
        texts.append(
            f"frames of {', '.join(found.external) or 'nothing'}, {measure} has {', '.join(expected.external)}"
        )
    texts += [
        f"frames of {key} of {found.frames[key]} points, {measure} has {expected.frames[key]}"
        for key in sorted(expected.frames.keys() & found.frames.keys())
        if found.frames[key] != expected.frames[key]
    ]
    return texts


def _presence(what: str, mine: str | None, other: str | None, measure: str) -> str:
    if other is None:
        return f"{what} is missing"
    return f"{what} is not in {measure}" if mine is None else f"{what} is not that of {measure}"


def _few(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:5])) + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")
