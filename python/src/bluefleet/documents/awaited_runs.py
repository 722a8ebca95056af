"""Runs whose end a sink waits for, and which of them it waits for no longer.

They hold back what it commits: after a restart it reads them again from their start. A run that is measured may pause for
days. One that is sent again comes without a pause, so when nothing comes of it, who sent it has given up.
"""

import logging
from dataclasses import dataclass

from bluefleet.documents.consumer import Received

logger = logging.getLogger(__name__)

#: Without a document for so long, while Kafka was listened to, a run has no end any more. Seconds.
SILENT = 7 * 86400.0
#: The same for one that is sent again, or had ended: the next documents of a long run may be far away in the topic.
SILENT_AGAIN = 1800.0
#: How many of them the status names, the latest ones.
BROKEN_OFF = 5


@dataclass
class _Awaited:
    heard_at: float
    #: Whether all that was heard of it was sent again.
    again: bool
    #: Whether it was heard from its start on.
    whole: bool
    #: Whether it had ended before.
    over: bool = False


class AwaitedRuns:
    """Who tells it of each document hears which runs to let go of."""

    def __init__(self, silent: float = SILENT) -> None:
        self._silent = silent
        self._runs: dict[str, _Awaited] = {}
        self._broken_off: list[str] = []

    def heard(self, received: Received) -> None:
        """A document of a run came."""
        known = self._runs.setdefault(received.run, _Awaited(0.0, received.again, received.name == "start"))
        known.heard_at = received.heard_at
        known.again = known.again and received.again

    def had_ended(self, run: str) -> None:
        """Its end is stored, and something of it came all the same: perhaps a second copy, and nothing will follow."""
        if run in self._runs:
            self._runs[run].over = True

    def ended(self, run: str) -> None:
        """Its stop came."""
        known = self._runs.pop(run, None)
        if known is not None and known.whole and run in self._broken_off:
            self._broken_off.remove(run)

    def forget(self, run: str) -> None:
        """It is not waited for any more."""
        self._runs.pop(run, None)

    def silent(self, heard_until: float) -> list[str]:
        """Runs of which nothing came for too long before that time; they are forgotten here."""
        found = {
            run: known
            for run, known in self._runs.items()
            if heard_until - known.heard_at > (SILENT_AGAIN if known.again or known.over else self._silent)
        }
        for run, known in found.items():
            del self._runs[run]
            logger.warning(
                "run %s has had no document for %.0f s: it is left as it is", run, heard_until - known.heard_at
            )
            if known.again and known.whole:
                self._broken_off = [*(each for each in self._broken_off if each != run), run]
        return list(found)

    def problems(self) -> list[str]:
        """Runs that were sent again, and not to their end."""
        return [
            f"run {run} was sent again and broken off: `bluefleet documents replay {run}` sends all of it"
            for run in self._broken_off[-BROKEN_OFF:]
        ]
