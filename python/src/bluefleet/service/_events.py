"""What happened lately, for those who listen: a ring of events, each with an identity that says whether one was missed."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

EventKind: TypeAlias = Literal["node", "site", "step", "give-up", "history", "reset"]
EVENT_KINDS: tuple[EventKind, ...] = ("node", "site", "step", "give-up", "history", "reset")


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `data` is a JSON object."""

    number: int
    kind: EventKind
    data: dict[str, Any]


class Events:
    """The last `kept` events of this process. Who is slower than that, or was away for longer, is told to begin anew."""

    def __init__(self, kept: int = 1000) -> None:
        # Numbers of another process mean nothing here.
        self._life = f"{time.time_ns():x}"
        self._ring: deque[Event] = deque(maxlen=kept)
        self._number = 0
        self._told = asyncio.Event()
        self._over = False

    @property
    def last(self) -> str:
        """Identity of the latest event: who has seen everything up to it asks for what comes after it."""
        return self.identity(self._number)

    def identity(self, number: int) -> str:
        """An event's identity, for Last-Event-ID."""
        return f"{self._life}-{number}"

    def tell(self, kind: EventKind, data: dict[str, Any]) -> None:
        """Tell everybody who listens."""
        self._number += 1
        self._ring.append(Event(self._number, kind, data))
        told, self._told = self._told, asyncio.Event()
        told.set()

    def close(self) -> None:
        """Whoever listens has heard all there will be."""
        self._over = True
        self._told.set()

    async def listen(self, after: str | None, *, idle: float) -> AsyncGenerator[Event | None, None]:
        """Events after the one with that identity, else from now on; None when nothing happened for `idle` seconds."""
        number = self._number if after is None else self._number_of(after)
        while not self._over:
            told = self._told
            first = self._ring[0].number if self._ring else self._number + 1
            if number is None or number < first - 1:
                number = self._number
                yield Event(number, "reset", {"reason": "events were missed: ask for /status anew"})
                continue
            fresh = [event for event in self._ring if event.number > number]
            for event in fresh:
                yield event
                number = event.number
            if fresh:
                continue
            try:
                async with asyncio.timeout(idle):
                    await told.wait()
            except TimeoutError:
                yield None

    def _number_of(self, identity: str) -> int | None:
        life, _, number = identity.rpartition("-")
        if life != self._life or not number.isdecimal() or int(number) > self._number:
            return None
        return int(number)
