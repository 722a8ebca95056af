"""Looks after every node on its own: on a period, when its engine tells of something, and when an operator did something."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from bluefleet.fleet import (
    SERVICE,
    Backoff,
    Beside,
    DevicesStatus,
    NodeStatus,
    Overrides,
    Reconciled,
    Reconciler,
    Settings,
    State,
    StateUnusable,
    StatusReport,
    history,
    look_beside,
    status_of,
    watch,
)
from bluefleet.model import Node, Site
from bluefleet.service._events import Events
from bluefleet.service._meters import Meters
from bluefleet.service._settings import ServiceSettings
from bluefleet.site_file import SiteFileInvalid

logger = logging.getLogger(__name__)

# Seconds. What happens to a container comes as several events; one look is for all of them.
_TOGETHER = 0.3
# How often it is looked whether an operator did something, and whether the site file is another one.
_OPERATORS = 1.0
_DAY = 86400.0
# Entries of history among which those are that go on when the service begins.
_LATEST = 100
# Until what failed in a way that nobody foresaw is tried again: at first, and at most.
_STRANGE, _STRANGE_AT_MOST = 1.0, 60.0
# site.yml applies what it has declared; what it has not made is made after that.
_WHO_DECLARES_APPLIES = 60.0
# Threads wait for a state file that somebody holds, for the queue, and for sinks.
_THREADS = 64
# What changes from look to look without anything having happened.
_VOLATILE = {
    "clock_skew_seconds": True,
    "disk": True,
    "busy": True,
    "instances": {"__all__": {"uptime_seconds"}},
}


class Keeper:
    """Looks after the site that `read` returns, and tells `events` and `meters` what it sees."""

    def __init__(
        self,
        read: Callable[[], Site],
        settings: Settings,
        chosen: ServiceSettings,
        events: Events,
        meters: Meters,
    ) -> None:
        self._read = read
        self._settings = settings
        self._chosen = chosen
        self._events = events
        self._meters = meters
        self._state = State(settings.state_file)
        backoff = Backoff(chosen.first_pause, chosen.longest_pause, chosen.tries, chosen.steady)
        self._reconciler = Reconciler(settings, backoff, deadline=chosen.deadline, interrupt_runs=chosen.interrupt_runs)
        self._overrides = Overrides()
        self._beside = Beside(DevicesStatus(state="unknown", detail="not asked yet", declared=0, pending=[]))
        self._looks: dict[str, Reconciled] = {}
        self._wake: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._problems: dict[str, str] = {}
        self._looked = asyncio.Event()
        self._beat = time.monotonic()
        self._hands_off = 0.0
        # The latest entry of history that was told, and those that go on.
        self._newest: int | None = None
        self._unfinished: set[int] = set()
        # Before it is read: what is written meanwhile is read again.
        self._stamp = _stamp(settings)
        self.site = read()

    @property
    def problems(self) -> list[str]:
        """What keeps the service itself from its work, in words."""
        return sorted(self._problems.values())

    @property
    def alive(self) -> bool:
        """Whether its own round goes on; what a node does has no part in that."""
        return time.monotonic() - self._beat < 3 * self._chosen.period + 60

    @property
    def last_event(self) -> str:
        """Identity of the last event that `status` knows of."""
        return self._events.last

    def status(self) -> StatusReport:
        """The fleet as it was seen last."""
        nodes = [self._looks[node.name].node if node.name in self._looks else _unseen(node) for node in self.site.nodes]
        return status_of(self.site, self._overrides, nodes, self._beside)

    def waiting(self) -> dict[str, str]:
        """Why instances that are not well are left alone for now, by node/instance."""
        return {
            f"{node}/{instance}": why for node, look in self._looks.items() for instance, why in look.waiting.items()
        }

    def wake(self, nodes: Iterable[str]) -> None:
        """Look at these nodes now."""
        for name in nodes:
            if name in self._wake:
                self._wake[name].set()

    async def first_looks(self) -> None:
        """Wait until each node was looked at, or had its time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._chosen.deadline + 1):
                await self._looked.wait()

    async def run(self) -> None:
        """Do all of it until it is cancelled."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
        async with asyncio.TaskGroup() as group:
            self._begin(group)
            group.create_task(self._steadily("look at the queue and the sinks", self._round, self._chosen.period))
            group.create_task(self._steadily("look at what operators did", lambda: self._operators(group), _OPERATORS))
            group.create_task(self._steadily("forget old history", self._prune, _DAY))

    def _begin(self, group: asyncio.TaskGroup) -> None:
        """Look after the nodes of the site as it is declared now."""
        for task in self._tasks.values():
            task.cancel()
        names = {node.name for node in self.site.nodes}
        self._looks = {name: look for name, look in self._looks.items() if name in names}
        self._wake = {name: asyncio.Event() for name in names}
        for what in [what for what in self._problems if what.startswith("node ")]:
            self._trouble(what, "")
        self._tasks = {node.name: group.create_task(self._node(node)) for node in self.site.nodes}
        self._all_looked()

    async def _steadily(self, tried: str, work: Callable[[], Awaitable[None]], every: float) -> None:
        """Do what concerns the site as a whole again and again, `every` seconds; no failure of it ends the service."""
        pause = _STRANGE
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 (what nobody foresaw here is no node's trouble)
                self._unforeseen(f"site: {tried}", tried, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _STRANGE_AT_MOST)
            else:
                self._trouble(f"site: {tried}", "")
                pause = _STRANGE
                await asyncio.sleep(every)

    async def _node(self, node: Node) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(node))
            group.create_task(self._look(node))

    async def _listen(self, node: Node) -> None:
        """Look whenever its engine tells of something."""
        pause = _STRANGE
        while True:
            try:
                async with aclosing(watch(self.site, self._settings, node)) as events:
                    async for _ in events:
                        pause = _STRANGE
                        self._strange(node, "listen to its events", None)
                        self.wake([node.name])
            except Exception as error:  # noqa: BLE001 (one node's trouble is no other node's)
                self._strange(node, "listen to its events", error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _STRANGE_AT_MOST)

    async def _look(self, node: Node) -> None:
        wake = self._wake[node.name]
        pause = _STRANGE
        while True:
            wake.clear()
            try:
                due = await self._look_once(node)
            except Exception as error:  # noqa: BLE001 (one node's trouble is no other node's)
                self._strange(node, "look after it", error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _STRANGE_AT_MOST)
            else:
                pause = _STRANGE
                self._strange(node, "look after it", None)
                await self._until(wake, due)

    async def _look_once(self, node: Node) -> datetime | None:
        """Returns when there is something to do, if that is known."""
        begun = time.monotonic()
        found = await self._reconciler.node(self.site, node, mend=time.monotonic() >= self._hands_off)
        self._state_trouble(found.problem)
        self._meters.looked(node.name, time.monotonic() - begun, found)
        self._tell(found)
        return found.due

    def _strange(self, node: Node, tried: str, error: Exception | None) -> None:
        """What nobody foresaw is told, with where it came from, and ends nothing else."""
        what = f"node {node.name}: {tried}"
        if error is None:
            self._trouble(what, "")
            return
        words = self._unforeseen(what, f"{node.name}: {tried}", error)
        if tried == "look after it":
            # What was seen before it is no longer known to be so.
            self._tell(Reconciled(_unseen(node, words, "`journalctl -u bluefleet-fleet` on the manager says more")))

    def _unforeseen(self, what: str, tried: str, error: Exception) -> str:
        """Log it, once, with where it came from, and show it as long as it is so; returns it in words."""
        words = f"{tried}: {type(error).__name__}: {error}"
        self._meters.failed(what)
        if self._problems.get(what) != words:
            logger.error("%s", words, exc_info=error)
            self._problems[what] = words
        return words

    async def _until(self, wake: asyncio.Event, due: datetime | None) -> None:
        """Until the period is over, something is due or somebody wakes it."""
        seconds = self._chosen.period
        if due is not None:
            seconds = min(seconds, max((due - datetime.now(UTC)).total_seconds(), _TOGETHER))
        # Not wait_for: on Python 3.11 it takes a cancellation that comes together with the event for the event.
        try:
            async with asyncio.timeout(seconds):
                await wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(_TOGETHER)

    def _tell(self, found: Reconciled) -> None:
        name = found.node.name
        before = self._looks.get(name)
        self._looks[name] = found
        self._all_looked()
        for step in found.steps:
            logger.info("%s/%s: %s %s: %s %s", name, step.instance, step.action, step.outcome, step.reason, step.detail)
            self._events.tell("step", {"node": name, **step.model_dump(mode="json")})
        for trouble in found.gave_up:
            logger.warning("%s/%s: %s: %s", name, trouble.instance, trouble.reason, trouble.words)
            self._events.tell("give-up", trouble.model_dump(mode="json"))
        if before is None or _lasting(before.node) != _lasting(found.node):
            self._events.tell("node", found.node.model_dump(mode="json"))

    def _all_looked(self) -> None:
        """Of a site without nodes there is nothing to wait for."""
        if len(self._looks) == len(self.site.nodes):
            self._looked.set()

    async def _round(self) -> None:
        """What concerns the site as a whole: its queue, its sinks."""
        found = await look_beside(self.site, self._settings, deadline=self._chosen.deadline)
        before, self._beside = self._beside, found
        self._beat = time.monotonic()
        if _standing(before) != _standing(found):
            data = {
                "devices": found.devices.model_dump(mode="json"),
                "documents": [one.model_dump(mode="json") for one in found.documents],
                "queue": found.queue and found.queue.model_dump(mode="json"),
            }
            self._events.tell("site", data)

    async def _operators(self, group: asyncio.TaskGroup) -> None:
        """What operators did through any door, and what is declared anew."""
        try:
            await self._history()
        except StateUnusable as error:
            self._state_trouble(error)
        # Before it is read: what is written meanwhile is read again.
        if (stamp := _stamp(self._settings)) != self._stamp:
            self._declared_anew(group)
            self._stamp = stamp

    async def _history(self) -> None:
        self._overrides = await asyncio.to_thread(Overrides.now, self._state)
        if self._newest is None:
            # Of what was there when the service began nobody needs to be told, but of its end.
            latest = await asyncio.to_thread(history.entries, self._state, limit=_LATEST)
            self._newest = max((entry.id for entry in latest), default=0)
            self._unfinished = {entry.id for entry in latest if entry.result == "unfinished"}
            return
        for entry in await asyncio.to_thread(history.after, self._state, self._newest, self._unfinished):
            if entry.result != "unfinished":
                self._unfinished.discard(entry.id)
            elif entry.id in self._unfinished:
                continue
            else:
                self._unfinished.add(entry.id)
            self._newest = max(self._newest, entry.id)
            self._events.tell("history", entry.model_dump(mode="json"))
            if entry.who != SERVICE:
                self.wake(target.partition("/")[0] for target in entry.targets)

    def _declared_anew(self, group: asyncio.TaskGroup) -> None:
        try:
            site = self._read()
        except SiteFileInvalid as error:
            self._trouble("site", f"{error}. What was declared before is kept")
            return
        self._trouble("site", "")
        if site != self.site:
            logger.info("the site is declared anew")
            self._hands_off = time.monotonic() + _WHO_DECLARES_APPLIES
            self.site = site
            self._begin(group)

    async def _prune(self) -> None:
        before = datetime.now(UTC) - timedelta(days=self._chosen.history_days)
        try:
            pruned = await asyncio.to_thread(history.prune, self._state, before)
        except StateUnusable as error:
            logger.warning("history is not pruned: %s", error)
        else:
            if pruned:
                logger.info("history: %d entries were older than %g days", pruned, self._chosen.history_days)

    def _state_trouble(self, error: StateUnusable | None) -> None:
        self._trouble("state", f"{error}. Nothing is mended meanwhile. {error.remedy}" if error else "")

    def _trouble(self, what: str, words: str) -> None:
        if self._problems.get(what, "") == words:
            return
        if words:
            logger.warning("%s", words)
            self._problems[what] = words
        else:
            del self._problems[what]


def _lasting(node: NodeStatus) -> dict[str, Any]:
    return node.model_dump(exclude=_VOLATILE) | {"busy": bool(node.busy)}


def _standing(beside: Beside) -> tuple[object, ...]:
    # How many documents wait is another number at each look.
    return beside.devices, beside.queue, [(one.name, one.reason) for one in beside.documents]


def _unseen(
    node: Node, reason: str = "it was not looked at yet", remedy: str = "Ask again in some seconds"
) -> NodeStatus:
    return NodeStatus(
        name=node.name,
        address=node.address,
        transport=node.transport,
        reachable=False,
        engine_version="",
        reason=reason,
        remedy=remedy,
        instances=[],
    )


def _stamp(settings: Settings) -> tuple[int, int]:
    try:
        found = settings.site_file.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_ino)
