"""What the recommender service makes of documents: runs of campaigns are gathered, all others pass by."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bluefleet.acquisition.adaptive.at_work import CampaignAtWork
from bluefleet.acquisition.adaptive.campaign import CAMPAIGN, NUMBER, Turn
from bluefleet.acquisition.adaptive.errors import CampaignWrong
from bluefleet.acquisition.adaptive.mailbox import Answer, Mailbox, Told
from bluefleet.acquisition.adaptive.readings import Readings
from bluefleet.documents.awaited_runs import AwaitedRuns
from bluefleet.documents.consumer import Received, Rejected
from bluefleet.documents.errors import RunNotFound
from bluefleet.documents.named_runs import NamedRun
from bluefleet.documents.patience import Patience
from bluefleet.documents.run_digest import RunDigest
from bluefleet.documents.run_reference import RunReference

logger = logging.getLogger(__name__)

#: A run that got no document for so long will not get a stop either: nobody waits for a recommendation after it. Seconds.
GIVEN_UP_AFTER = 86400.0


@dataclass
class Measuring:
    """A run of a campaign that is not at its end."""

    offset: int
    turn: Turn
    readings: Readings = field(default_factory=Readings)


class Campaigns:
    """A sink that stores nothing: its campaigns recommend."""

    name = "recommender"

    def __init__(self, mailbox: Mailbox, stopping: threading.Event) -> None:
        self._mailbox = mailbox
        self._stopping = stopping
        self._measuring: dict[str, Measuring] = {}
        self._awaited = AwaitedRuns(GIVEN_UP_AFTER)
        self._campaigns: dict[str, CampaignAtWork] = {}

    def prepare(self) -> None:
        """Nothing: what is in Redis is asked for when it is needed."""

    def write(self, batch: Sequence[Received], patience: Patience) -> list[Rejected]:
        """Take the documents. What no sense can be made of is somebody else's."""
        for received in batch:
            try:
                self._take(received, patience)
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                self._forget(received.run)
                logger.warning("%s of run %s is left out: %r", received.name, received.run, error)
        return []

    def needed_from(self, next_offset: int) -> int:
        """The start of the oldest run that has no recommendation yet."""
        for uid in [uid for uid, campaign in self._campaigns.items() if campaign.is_over]:
            del self._campaigns[uid]
        waiting = [one.offset for one in self._measuring.values()]
        waiting += [offset for campaign in self._campaigns.values() for offset in campaign.waiting()]
        return min(waiting, default=next_offset)

    def let_go(self, heard_until: float) -> bool:
        """Nobody waits for a recommendation after such a run."""
        silent = self._awaited.silent(heard_until)
        for run in silent:
            self._measuring.pop(run, None)
        return bool(silent)

    def named(self, reference: RunReference) -> list[NamedRun]:
        """None: this is no database."""
        del reference
        return []

    def holds(self, reference: str) -> RunDigest:
        """Nothing: this is no database."""
        raise RunNotFound(f"the recommender keeps no runs; {reference} is in the databases, if anywhere")

    def status(self) -> list[dict[str, Any]]:
        """Of the campaigns that are at work."""
        return [campaign.status() for campaign in list(self._campaigns.values())]

    def problems(self) -> list[str]:
        """What is wrong with them."""
        texts = [campaign.trouble() for campaign in list(self._campaigns.values())]
        return [text for text in dict.fromkeys(texts) if text]

    def _take(self, received: Received, patience: Patience) -> None:
        if received.name == "start":
            self._begin(received, patience)
            return
        measuring = self._measuring.get(received.run)
        if measuring is None:
            return
        self._awaited.heard(received)
        if received.name != "stop":
            measuring.readings.take(received.name, received.document)
            return
        self._forget(received.run)
        if received.document.get("exit_status") != "success":
            # The plan has ended with its run.
            logger.info("campaign %s ended with run %s", measuring.turn.campaign, received.run)
            return
        self._hand_over(measuring)

    def _begin(self, received: Received, patience: Patience) -> None:
        try:
            turn = Turn.of_start_document(received.document)
        except CampaignWrong as error:
            logger.warning("run %s: its campaign is not understood: %s", received.run, error)
            self._refuse(received, f"run {received.run} says of its campaign what is not understood: {error}", patience)
            return
        if turn is not None:
            self._measuring[received.run] = Measuring(received.offset, turn)
            self._awaited.heard(received)

    def _forget(self, run: str) -> None:
        self._measuring.pop(run, None)
        self._awaited.forget(run)

    def _refuse(self, start: Received, why: str, patience: Patience) -> None:
        """Say so to the plan, if it can be told at all."""
        campaign, number = start.document.get(CAMPAIGN), start.document.get(NUMBER)
        if isinstance(campaign, str) and isinstance(number, int):
            answer = Answer(error=why)
            patience.until_available(lambda: self._mailbox.answer(campaign, number, answer))

    def _hand_over(self, measuring: Measuring) -> None:
        turn = measuring.turn
        campaign = self._campaigns.get(turn.campaign)
        told = Told(turn.point, measuring.readings.means())
        if campaign is None or not campaign.take(measuring.offset, turn, told):
            campaign = self._campaigns[turn.campaign] = CampaignAtWork(turn.campaign, self._mailbox, self._stopping)
            campaign.take(measuring.offset, turn, told)
            campaign.start()
