"""Waiting for the other side: back-off, how long already, and when it is the document's fault after all."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from bluefleet.documents.errors import DocumentError, Poison, Refusing, Stopping, Unavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
#: After so many refusals of the same thing we find out whether anything else is taken.
REFUSALS = 5


class Patience:
    """Does things again until they work. `trouble` says in words what is waited for; empty = nothing."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self.trouble = ""
        self.since = 0.0
        self.ticked = time.monotonic()

    def until_available(self, action: Callable[[], T], probe: Callable[[], object] | None = None) -> T:
        """The action's result. Raises Stopping on a stop.

        `probe` does the same kind of thing with something known to be good. Raises Poison when the action is refused
        right after a probe that worked; a server that refuses everything is waited for.
        """
        pause = FIRST_PAUSE
        refusals = 0
        others_work = False
        while True:
            self.ticked = time.monotonic()
            try:
                result = action()
            except Refusing as error:
                refusals += 1
                if others_work:
                    self._well()
                    raise Poison(str(error)) from error
                others_work = refusals >= REFUSALS and _works(probe)
                self._ill(error, pause)
            except Unavailable as error:
                others_work = False
                self._ill(error, pause)
            else:
                self._well()
                return result
            if self._stopping.wait(pause):
                raise Stopping(self.trouble)
            pause = min(LONGEST_PAUSE, pause * 2)

    def _ill(self, error: Exception, pause: float) -> None:
        if not self.trouble:
            self.since = time.time()
        self.trouble = str(error)
        logger.warning("%s; trying again in %.1f s", error, pause)

    def _well(self) -> None:
        if self.trouble:
            logger.info("works again after %.1f s: %s", time.time() - self.since, self.trouble)
        self.trouble = ""


def _works(probe: Callable[[], object] | None) -> bool:
    if probe is None:
        return False
    try:
        probe()
    except DocumentError as error:
        logger.warning("nothing else is taken either: %s", error)
        return False
    return True
