"""What the forwarder does when it is asked to send something again: a run, or what became dead letters.

Whatever is sent again goes the way of all documents: through Kafka, to every sink. A sink recognises what it has.
"""

import contextlib
import threading
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, cast

from bluefleet.documents import codec, spool_store
from bluefleet.documents.codec import plain
from bluefleet.documents.dead_letters import UNREADABLE, DeadLetterBox
from bluefleet.documents.errors import RequestWrong, RunNotFound, Unavailable
from bluefleet.documents.lane import Report
from bluefleet.documents.replay_report import Letters, Replayed
from bluefleet.documents.resend import resend
from bluefleet.documents.run_reference import UID_LENGTH
from bluefleet.documents.settings import ForwarderSettings
from bluefleet.documents.spool_runs import find_run
from bluefleet.documents.spool_store import Spooled
from bluefleet.documents.topic_run import documents_in_topic

#: Letters that one request may name: they are held in memory, and each may be of 12 MiB.
AT_ONCE = 100


class Replay:
    """One thing at a time is sent again; a second request is told to wait."""

    def __init__(self, settings: ForwarderSettings, letters: DeadLetterBox, spools: Callable[[], list[Path]]) -> None:
        self._settings = settings
        self._letters = letters
        self._spools = spools
        self._at_work = threading.Lock()

    def planned(self, reference: str) -> dict[str, Any]:
        """What `run` would send. Raises RunNotFound, Unavailable."""
        path, run = self._find(reference)
        if path is None:
            count = sum(1 for _ in documents_in_topic(self._settings, run))
            return Replayed(run=run, source="kafka", documents=count).model_dump()
        with contextlib.closing(spool_store.connect(path)) as connection:
            count = spool_store.count_sent_of(connection, run)
        return Replayed(run=run, source="spool", documents=count).model_dump()

    def run(self, reference: str, _content: Mapping[str, Any]) -> dict[str, Any]:
        """Send a run again, from the spool if it is there, else from Kafka. Raises RunNotFound, Unavailable."""
        with self._alone():
            path, run = self._find(reference)
            done = Replayed(run=run, source="kafka" if path is None else "spool", documents=0)
            if path is None:
                resend(self._settings, documents_in_topic(self._settings, run), lambda sent: _sum_up(done, sent))
            else:
                self._from_spool(path, run, done)
            return done.model_dump()

    def letters(self, number: str) -> dict[str, Any]:
        """All letters that wait, or one in full. Raises LetterNotFound, Unavailable."""
        if not number:
            return Letters(letters=self._letters.waiting()).model_dump()
        ((letter, spooled),) = self._letters.fetch([_number(number)])
        document = {} if letter.name == UNREADABLE else codec.decode(spooled.body)[1]
        return letter.model_dump() | {"document": plain(document)}

    def settle(self, how: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """`replay` or `dismiss` the letters that the request numbers. Raises LetterNotFound, Unavailable."""
        numbers: Any = content.get("numbers")
        if how not in {"replay", "dismiss"} or not isinstance(numbers, list) or not numbers:
            raise RequestWrong('right is /dead/replay or /dead/dismiss with {"numbers": [1, …], "reason": "…"}')
        wanted = sorted({_number(str(number)) for number in cast("list[Any]", numbers)})
        if len(wanted) > AT_ONCE:
            raise RequestWrong(f"{len(wanted)} letters at once are more than {AT_ONCE}")
        with self._alone():
            done = Replayed(source="dead letters", documents=0)
            if how == "dismiss":
                self._letters.fetch(wanted)
                self._letters.settle(wanted, "dismissed", str(content.get("reason", "")))
            else:
                self._send_letters(wanted, done)
            return done.model_dump()

    def _from_spool(self, path: Path, run: str, done: Replayed) -> None:
        # Two connections: what was refused before and is taken now is marked while the run is still being read.
        with (
            contextlib.closing(spool_store.connect(path)) as reading,
            contextlib.closing(spool_store.connect(path)) as marking,
        ):
            refused_before = spool_store.refused_of(reading, run)

            def note(reports: list[Report]) -> None:
                _sum_up(done, reports)
                taken = [each for each in reports if each[0] in refused_before and each[2] is None]
                if taken:
                    spool_store.mark_delivered(marking, taken)

            resend(self._settings, spool_store.sent_documents_of(reading, run), note)

    def _send_letters(self, numbers: list[int], done: Replayed) -> None:
        # In the order in which they were in the topic of documents; what two sinks refused goes once.
        by_place: dict[int, tuple[Spooled, list[int]]] = {}
        for letter, spooled in sorted(self._letters.fetch(numbers), key=lambda each: each[0].offset):
            if letter.name == UNREADABLE:
                done.unreadable.append(letter.number)
                continue
            place = letter.offset if letter.offset >= 0 else ~letter.number
            by_place.setdefault(place, (spooled, []))[1].append(letter.number)
        copies = {spooled.seq: same for spooled, same in by_place.values()}

        def note(reports: list[Report]) -> None:
            _sum_up(done, reports)
            self._letters.settle(
                [n for seq, offset, _ in reports if offset is not None for n in copies[seq]], "replayed"
            )

        resend(self._settings, (spooled for spooled, _ in by_place.values()), note, alone=True)

    def _find(self, reference: str) -> tuple[Path | None, str]:
        """The run's spool and uid; no spool where its beginning is in Kafka at most. Raises RunNotFound."""
        try:
            path, run = find_run(self._spools(), reference)
        except RunNotFound:
            if len(reference) < UID_LENGTH:
                raise
            return None, reference
        with contextlib.closing(spool_store.connect(path)) as connection:
            whole = spool_store.has_start(connection, run)
        return (path if whole else None), run

    @contextlib.contextmanager
    def _alone(self) -> Generator[None]:
        if not self._at_work.acquire(blocking=False):
            raise Unavailable("something is being sent again already: try again when that is done")
        try:
            yield
        finally:
            self._at_work.release()


def _number(text: str) -> int:
    if not text.isdigit():
        raise RequestWrong(f"{text!r} is no number of a dead letter")
    return int(text)


def _sum_up(done: Replayed, reports: list[Report]) -> None:
    for _, offset, refused in reports:
        if offset is not None:
            done.documents += 1
            done.end = max(done.end or 0, offset + 1)
        elif refused is not None:
            done.refused.append(refused)
