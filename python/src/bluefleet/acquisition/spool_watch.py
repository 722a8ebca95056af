"""Pauses a plan, saying why, while the spool is nearly full, and resumes it when there is room."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# (ophyd and bluesky's suspenders have no types)
from __future__ import annotations

import threading
from typing import Protocol

from bluesky.run_engine import RunEngine
from bluesky.suspenders import SuspendCeil
from ophyd import Signal

PAUSE_AT = 0.9
RESUME_AT = 0.8
LOOK_EVERY = 1.0


class _Usage(Protocol):
    @property
    def fraction(self) -> float: ...


class _Measurable(Protocol):
    def usage(self) -> _Usage: ...


class SpoolWatch(threading.Thread):
    """Looks at the spool each second for as long as the process lives."""

    def __init__(self, spool: _Measurable, run_engine: RunEngine, *, look_every: float = LOOK_EVERY) -> None:
        super().__init__(name="spool-watch", daemon=True)
        self._spool = spool
        self._look_every = look_every
        self._fill = Signal(name="spool_fill", value=spool.usage().fraction)
        self._ended = threading.Event()
        run_engine.install_suspender(
            SuspendCeil(
                self._fill,
                PAUSE_AT,
                resume_thresh=RESUME_AT,
                tripped_message="the spool is nearly full: documents are not delivered (bluefleet status says why)",
            )
        )

    def run(self) -> None:
        while not self._ended.wait(self._look_every):
            self._fill.put(self._spool.usage().fraction)

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
