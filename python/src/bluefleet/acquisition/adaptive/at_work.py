"""One campaign at work: a thread of its own, so that a recommender that computes for long keeps no other one waiting."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import Any

from bluefleet.acquisition.adaptive.campaign import Turn
from bluefleet.acquisition.adaptive.errors import CampaignWrong
from bluefleet.acquisition.adaptive.mailbox import Answer, Mailbox, Told
from bluefleet.acquisition.adaptive.readings import STREAM
from bluefleet.acquisition.adaptive.recommenders import Recommender, make
from bluefleet.documents.errors import Stopping
from bluefleet.documents.patience import Patience

logger = logging.getLogger(__name__)

#: A campaign that asks for nothing for so long gives its thread back; its next run makes it a new one. Seconds.
IDLE = 3600.0
#: How often it looks whether the service ends. Seconds.
LOOK_EVERY = 0.5


class CampaignAtWork(threading.Thread):
    """Recommends after each run of its campaign."""

    def __init__(self, campaign: str, mailbox: Mailbox, stopping: threading.Event) -> None:
        super().__init__(name=f"campaign-{campaign[:8]}", daemon=True)
        self._campaign = campaign
        self._mailbox = mailbox
        self._stopping = stopping
        self._patience = Patience(stopping)
        self._given: queue.Queue[tuple[int, Turn, Told]] = queue.Queue()
        self._guard = threading.Lock()
        self._waiting: set[int] = set()
        self._since = 0.0
        self._turn: Turn | None = None
        self._answered = 0
        self._recommender: Recommender | None = None
        #: The number of the run that the recommender must be told of next.
        self._next = 0
        self.is_over = False

    def take(self, offset: int, turn: Turn, told: Told) -> bool:
        """A run has ended: a recommendation is wanted. False when this thread is at its end."""
        with self._guard:
            if self.is_over:
                return False
            self._waiting.add(offset)
            self._given.put((offset, turn, told))
            return True

    def waiting(self) -> list[int]:
        """Offsets of runs that have no recommendation yet; those whose plan has given up no more count."""
        with self._guard:
            late = self._turn is not None and self._computes_for() > self._turn.deadline
            return [] if late else list(self._waiting)

    def run(self) -> None:
        """Until nothing came for long."""
        idle_from = time.monotonic()
        while not self._stopping.is_set():
            try:
                offset, turn, told = self._given.get(timeout=LOOK_EVERY)
            except queue.Empty:
                if time.monotonic() - idle_from > IDLE and self._end():
                    return
                continue
            self._turn, self._since = turn, time.monotonic()
            try:
                self._recommend(turn, told)
            except Stopping:
                return
            self._turn, idle_from = None, time.monotonic()
            with self._guard:
                self._waiting.discard(offset)

    def _end(self) -> bool:
        with self._guard:
            self.is_over = self._given.empty()
            return self.is_over

    def status(self) -> dict[str, Any]:
        """For who looks."""
        return {
            "campaign": self._campaign,
            "answered": self._answered,
            "waiting": len(self._waiting),
            "computes_for": round(self._computes_for(), 1),
        }

    def trouble(self) -> str:
        """What is wrong, in words; empty = nothing."""
        turn = self._turn
        if turn is not None and self._computes_for() > turn.deadline and not self._patience.trouble:
            return (
                f"recommender {turn.recommender!r} of campaign {self._campaign} has been computing for "
                f"{self._computes_for():.0f} s after run {turn.number}, and the plan waits no longer than {turn.deadline:g} s"
            )
        return self._patience.trouble

    def _computes_for(self) -> float:
        return time.monotonic() - self._since if self._turn is not None else 0.0

    def _recommend(self, turn: Turn, told: Told) -> None:
        again = self._patience.until_available
        again(lambda: self._mailbox.remember(turn.campaign, turn.number, told))
        if again(lambda: self._mailbox.answered(turn.campaign, turn.number)) is not None:
            # Before the service was restarted; its recommender is told of it with all others.
            return
        answer = self._answer(turn, told)
        again(lambda: self._mailbox.answer(turn.campaign, turn.number, answer))
        self._answered += 1
        what = answer.error or ("the end" if answer.point is None else answer.point)
        logger.info("campaign %s, run %d: %s", turn.campaign, turn.number, what)

    def _answer(self, turn: Turn, told: Told) -> Answer:
        if turn.number + 1 >= turn.runs:
            return Answer()
        who = f"recommender {turn.recommender!r} after run {turn.number} of campaign {turn.campaign}"
        if not told.y:
            return Answer(error=f"{who}: the run has no numbers in its stream {STREAM!r}")
        try:
            point = self._told(turn, told).ask()
            if point is None:
                return Answer()
            return Answer({axis: float(point[axis]) for axis in turn.axes})
        except Stopping:
            raise
        except CampaignWrong as error:
            self._recommender = None
            return Answer(error=f"{who}: {error}")
        except BaseException as error:  # a site's recommender is foreign code: it may raise anything
            self._recommender = None
            logger.exception("%s", who)
            return Answer(error=f"{who}: {type(error).__name__}: {error}")

    def _told(self, turn: Turn, told: Told) -> Recommender:
        """The recommender, told of all runs up to this one."""
        if self._recommender is not None and self._next == turn.number:
            self._recommender.tell(told.x, told.y)
        else:
            everything = self._patience.until_available(lambda: self._mailbox.remembered(turn.campaign))
            self._recommender = make(turn.recommender, turn.arguments, axes=turn.axes, fields=turn.fields)
            for number, each in everything.items():
                if number <= turn.number:
                    self._recommender.tell(each.x, each.y)
        self._next = turn.number + 1
        return self._recommender
