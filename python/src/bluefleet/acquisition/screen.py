"""What a person at a terminal sees of a run: heading, live table, baseline and plots, by Bluesky's best-effort callback.

Documents for what draws wait for the thread that owns the windows, the one that called the RunEngine; it shows them while
the plan runs. So no plan waits for a window, and any of matplotlib's toolkits will do: Bluesky's own way needs Qt.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# (bluesky's callbacks and matplotlib have few types)
from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import matplotlib as mpl
from bluesky.callbacks.best_effort import BestEffortCallback
from bluesky.callbacks.mpl_plotting import QtAwareCallback
from bluesky.run_engine import RunEngine
from bluesky.utils import DuringTask
from matplotlib import pyplot as plt

# pyplot itself has no way to go through its figures without making one of them the current one.
from matplotlib._pylab_helpers import Gcf

logger = logging.getLogger("bluefleet.acquisition")

#: Windows answer the mouse so often, in seconds.
LOOK_EVERY = 0.03
Document = dict[str, Any]
Callback = Callable[[str, Document], object]


class WatchedRunEngine(RunEngine):
    """The RunEngine of a terminal. ``best_effort`` is what shows its runs."""

    def __init__(self, metadata: dict[str, Any], *, windows: bool) -> None:
        """Without `windows` nothing is drawn, and no display is needed."""
        mpl.use("TkAgg" if windows else "Agg")
        self._screen = Screen()
        super().__init__(metadata, during_task=self._screen)
        self.best_effort = BestEffortCallback()
        if windows:
            plt.ion()
        else:
            self.best_effort.disable_plots()
        self.subscribe(self.best_effort)

    def subscribe(self, func: Any, name: str = "all") -> int:
        """As Bluesky's own. What draws, Bluesky's live plots or a callback with a true ``draws``, is shown by the screen."""
        draws = isinstance(func, QtAwareCallback) or getattr(func, "draws", False)
        return super().subscribe(partial(self._screen.put, func) if draws else func, name)


class Screen(DuringTask):
    """Hands documents over to the thread that waits for the plan."""

    def __init__(self) -> None:
        self._arrived: SimpleQueue[tuple[Callback, str, Document]] = SimpleQueue()

    def put(self, callback: Callback, name: str, document: Document) -> None:
        """Called by the RunEngine, in its own thread."""
        self._arrived.put((callback, name, document))

    def block(self, blocking_event: threading.Event) -> None:
        """Show what arrives until the plan ends or is paused, and then what is left."""
        while not blocking_event.wait(LOOK_EVERY):
            self._show()
        self._show()

    def _show(self) -> None:
        while True:
            try:
                callback, name, document = self._arrived.get_nowait()
            except Empty:
                break
            try:
                callback(name, document)
            except Exception:
                # What can't be shown is stored all the same.
                logger.exception("a %s document can't be shown; the run goes on", name)
        for manager in Gcf.get_all_fig_managers():
            manager.canvas.flush_events()
