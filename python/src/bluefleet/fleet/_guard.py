"""Refuses what would take an instance away from a plan that runs."""

import asyncio

from bluefleet.fleet._queue import Queue, QueueError, RunningPlan
from bluefleet.fleet._settings import Settings
from bluefleet.model import Instance, Site

# The queue's answer serves the steps that ask at about the same time; a pull of an image takes longer.
_ASKED_LATELY = 1.0


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
        allow = "wait for its end, or allow it with -e interrupt_runs=true (bluefleet: --interrupt-runs)"
        try:
            # One of several that wait for this answer may be cancelled.
            running = await asyncio.shield(self._asked)
        except QueueError as error:
            raise Refused(f"not known whether a plan runs: {error}; {allow}") from error
        if running is not None and self.uses(running, instance):
            raise Refused(f"run {running.run} ({running.name}) uses it, or may; {allow}")

    def uses(self, running: RunningPlan, instance: Instance | None) -> bool:
        """Whether the plan uses the instance, or may."""
        # Which devices an instance that is not declared any more has served, nobody knows. Nor which devices a plan
        # uses whose arguments name none: they are named in its body.
        if instance is None or not self._devices & running.words:
            return instance is None or bool(instance.devices)
        return any(device.name in running.words for device in instance.devices)


def _running_plan(queue: Queue) -> RunningPlan | None:
    return queue.state().running
