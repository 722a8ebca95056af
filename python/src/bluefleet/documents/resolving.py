"""Finds the run that a name means, by asking all places: the spools, the databases, and Kafka for what is in neither yet."""

from collections.abc import Sequence

from pydantic import ValidationError

from bluefleet.documents.ask import Asker, Place, in_a_row
from bluefleet.documents.errors import NotFound, RunNotFound, Unavailable
from bluefleet.documents.named_runs import NamedRun, NamedRuns, meant
from bluefleet.documents.run_reference import UID_LENGTH, RunReference

#: Seconds that a place has to answer; Kafka may have to be read since a database was there.
DEADLINE = 60.0


class Resolver:
    """Asks `indexes` for `<url>/<name>`, and `topic` for `<url>/<offset>`: the runs that began there or later."""

    def __init__(self, asker: Asker, indexes: Sequence[Place], topic: Place | None) -> None:
        self._asker = asker
        self._indexes = indexes
        self._topic = topic

    def resolve(self, text: str) -> tuple[str, list[str]]:
        """The run's uid, and in words which places had no say. Raises RunNotFound, Unavailable."""
        reference = RunReference.parse(text)
        if len(reference.uid) == UID_LENGTH:
            return reference.uid, []
        known: list[NamedRun] = []
        silent: list[str] = []
        answered = 0
        end: int | None = None
        for place in self._indexes:
            try:
                said = self._ask(place, text)
            except Unavailable as error:
                silent.append(f"{place.name} does not answer: {error}")
            else:
                known += said.runs
                end = max((each for each in (end, said.end) if each is not None), default=None)
                answered += 1
        if not answered:
            raise Unavailable("; ".join(silent))
        if self._topic is not None and end is not None:
            try:
                known += self._ask(self._topic, str(end)).runs
            except Unavailable as error:
                silent.append(f"{self._topic.name} does not answer: {error}")
        try:
            return meant(reference, known), silent
        except RunNotFound as error:
            raise RunNotFound("; ".join([f"{error} in {self._names()}", *silent])) from error

    def _names(self) -> str:
        return in_a_row(place.name for place in (*self._indexes, *([self._topic] if self._topic else [])))

    def _ask(self, place: Place, what: str) -> NamedRuns:
        try:
            return NamedRuns.model_validate(self._asker.get(place, what, deadline=DEADLINE))
        except (NotFound, ValidationError) as error:
            raise Unavailable(f"{place.url}: what answers is not {place.name}, or of another version") from error
