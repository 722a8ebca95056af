"""Refuses what would take an instance away from a plan that runs."""

import asyncio

from bluefleet.fleet._queue import Queue, QueueError, RunningPlan
from bluefleet.fleet._settings import Settings
from bluefleet.model import Instance, Site

# The queue's answer serves the steps that ask at about the same time; a pull of an image takes longer.
_ASKED_LATELY = 1.0
# Plans that use no device but those among their arguments: all of bluefleet.acquisition.plans, which this can't import.
# Any other may have a device as a default, or in its body.
USE_ONLY_ARGUMENTS = frozenset(
    {
        "adaptive",
        "adaptive_scan",
        "count",
        "fly",
        "grid_scan",
        "list_grid_scan",
        "list_scan",
        "log_scan",
        "mv",
        "mvr",
        "ramp_plan",
        "rel_adaptive_scan",
        "rel_grid_scan",
        "rel_list_grid_scan",
        "rel_list_scan",
        "rel_log_scan",
        "rel_scan",
        "rel_spiral",
        "rel_spiral_fermat",
        "rel_spiral_square",
        "scan",
        "scan_nd",
        "sleep",
        "spiral",
        "spiral_fermat",
        "spiral_square",
        "tune_centroid",
        "tweak",
        "x2x_scan",
        "xafs",
    }
)


class Refused(Exception):
    """A step must not be done now; says why."""


class Guard:
    """Asks the queue what runs, once for all that want to know at about the same time."""

    def __init__(self, site: Site, settings: Settings, *, permitted: bool) -> None:
        self._queue = None if permitted else Queue.of(site, settings)
        self._devices = frozenset(placed.device.name for placed in site.placed_devices())
        self._asked: asyncio.Task[RunningPlan | None] | None = None
        self._asked_at = 0.0

    async def check(self, instance: Instance | None) -> None:
        """Raise Refused, saying why, when the instance must not be interrupted now; None is one nobody declares."""
        if self._queue is None:
            return
        now = asyncio.get_running_loop().time()
        if self._asked is None or now - self._asked_at > _ASKED_LATELY:
            self._asked_at = now
            self._asked = asyncio.create_task(asyncio.to_thread(_running_plan, self._queue))
        allow = "wait for its end, or allow it with --interrupt-runs (site.yml: -e interrupt_runs=true)"
        try:
            # One of several that wait for this answer may be cancelled.
            running = await asyncio.shield(self._asked)
        except QueueError as error:
            raise Refused(f"not known whether a plan runs: {error}; {allow}") from error
        if running is not None and self.uses(running, instance):
            raise Refused(f"run {running.run} ({running.name}) uses it, or may; {allow}")

    def uses(self, running: RunningPlan, instance: Instance | None) -> bool:
        """Whether the plan uses the instance, or may."""
        if instance is None:
            # Which devices it served when it was declared, nobody knows.
            return True
        if running.name in USE_ONLY_ARGUMENTS and self._devices & running.words:
            return any(device.name in running.words for device in instance.devices)
        return bool(instance.devices)


def _running_plan(queue: Queue) -> RunningPlan | None:
    return queue.state().running
