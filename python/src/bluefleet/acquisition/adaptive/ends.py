"""The two ends of a campaign that a plan is given: who is asked, and where the answers come from."""

from __future__ import annotations

import queue
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bluefleet.acquisition.adaptive.campaign import Point, Turn
from bluefleet.acquisition.adaptive.errors import CampaignWrong, RecommenderFailed
from bluefleet.acquisition.adaptive.mailbox import Mailbox
from bluefleet.acquisition.adaptive.recommenders import make
from bluefleet.acquisition.adaptive.step import STEP
from bluefleet.acquisition.redis_client import redis_client
from bluefleet.acquisition.settings import Settings
from bluefleet.documents.errors import Unavailable
from bluefleet.site_file import load_site

#: Of the demonstration that everybody knows: 0 … 24.0 by 1.5.
RUNS = 17
DEADLINE = 60.0
ASK_EVERY = 0.05
ANSWER_WITHIN = 2.0


@dataclass(frozen=True)
class ToRecommender:
    """Who decides, with which arguments. Documents need no other way than the one that all of them go."""

    recommender: str = "step"
    arguments: Mapping[str, Any] = field(default_factory=lambda: {"step": STEP})
    runs: int = RUNS

    def check(self, axes: Sequence[str], fields: Sequence[str]) -> None:
        """Raise CampaignWrong when there is no such recommender, or it can't work with this."""
        if self.runs < 1:
            raise CampaignWrong(f"a campaign has at least one run, not {self.runs}")
        make(self.recommender, self.arguments, axes=axes, fields=fields)

    def metadata(
        self, campaign: str, number: int, point: Point, fields: Sequence[str], deadline: float
    ) -> dict[str, Any]:
        """What the start document of a run says."""
        return Turn(
            campaign=campaign,
            number=number,
            recommender=self.recommender,
            arguments=dict(self.arguments),
            axes=list(point),
            fields=list(fields),
            point=point,
            runs=self.runs,
            deadline=deadline,
        ).in_start_document()


class FromRecommender:
    """Recommendations of the site's recommender service."""

    def __init__(self, mailbox: Mailbox | None) -> None:
        self._mailbox = mailbox

    @classmethod
    def of_this_process(cls, settings: Settings | None = None) -> FromRecommender:
        """As the process's settings say."""
        settings = settings or Settings.from_environment()
        address = settings.redis_address
        if address is None:
            return cls(None)
        client = redis_client(
            address,
            settings.redis_password,
            username=settings.redis_username,
            ca_file=settings.redis_ca_file,
            deadline=ANSWER_WITHIN,
            patient=False,
        )
        return cls(Mailbox(client, load_site(settings.fleet_file).site, f"Redis at {address}"))

    def of(self, campaign: str) -> Recommendations:
        """Those of one campaign. Raises CampaignWrong."""
        if self._mailbox is None:
            raise CampaignWrong("recommendations come through Redis, and BLUEFLEET_REDIS_ADDRESS is not set here")
        return Recommendations(self._mailbox, campaign)


class Recommendations:
    """The recommendations of a campaign one after the other, as from a `queue.Queue`."""

    def __init__(self, mailbox: Mailbox, campaign: str) -> None:
        self._mailbox = mailbox
        self._campaign = campaign
        self._number = 0
        #: Why Redis gave no answer, when it was asked last.
        self.trouble = ""

    def get(self, block: bool = True, timeout: float | None = None) -> Point | None:
        """The next one; None ends the campaign. Raises queue.Empty, and RecommenderFailed with the reason."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                answer = self._mailbox.answered(self._campaign, self._number)
                self.trouble = ""
            except Unavailable as error:
                answer, self.trouble = None, str(error)
            if answer is not None:
                self._number += 1
                if answer.error:
                    raise RecommenderFailed(answer.error)
                return answer.point
            if not block or (end is not None and time.monotonic() >= end):
                raise queue.Empty
            time.sleep(ASK_EVERY)
