"""What the fleet service does with a node: look at it, and mend what does not run as operators want it to.

It starts what does not run, restarts what is unhealthy and stops what should not run, each with pauses that grow, and
gives up after a while. What runs but differs from what is declared is left to `apply`: that is a person's decision. So is
what is not declared, unless another node has taken it over: of that there must not be two.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bluefleet.engine import SPEC_LABEL, Container, Deadlines, Engine, EngineError
from bluefleet.fleet import _history as history
from bluefleet.fleet._applied import note
from bluefleet.fleet._backoff import Backoff, Trouble
from bluefleet.fleet._call import Call, Record, each_node, recorded
from bluefleet.fleet._desired import Desired, by_name, desired
from bluefleet.fleet._guard import Guard, Refused
from bluefleet.fleet._holders import has, hold
from bluefleet.fleet._moved import stops, taken_over
from bluefleet.fleet._own_loop import in_own_loop
from bluefleet.fleet._plan import Step, plan
from bluefleet.fleet._render import endpoint, registry_login
from bluefleet.fleet._render import selection as labels_of
from bluefleet.fleet._report import NodeResult, NodeStatus, StepResult
from bluefleet.fleet._selection import Chosen, Selection
from bluefleet.fleet._settings import Settings
from bluefleet.fleet._state import State, StateUnusable
from bluefleet.fleet._status import Known, Looking
from bluefleet.fleet._steps import Steps
from bluefleet.fleet._troubles import forget, remember
from bluefleet.model import Node, Site

# Who does it, as history and the node's lock tell.
SERVICE = "fleet service"
# Seconds that mending a node may take.
_MEND = 900.0
# Seconds for a pull while the node is locked: it was tried before that, with patience.
_PULL_LOCKED = 30.0
# What nothing checks is well when it has run that long: one that its engine starts again and again does not.
_UP_FOR_LONG = timedelta(minutes=1)
_ENDED = {"created", "exited", "dead", "paused"}


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What came of one look at a node. `waiting`: why an instance that is not well is left alone for now."""

    node: NodeStatus
    steps: list[StepResult] = field(default_factory=list[StepResult])
    waiting: dict[str, str] = field(default_factory=dict[str, str])
    gave_up: list[Trouble] = field(default_factory=list[Trouble])
    due: datetime | None = None
    problem: StateUnusable | None = None


@dataclass(slots=True)
class _Verdicts:
    """What to do about the instances of a node, and what to remember of them."""

    steps: list[Step] = field(default_factory=list[Step])
    tried: list[Trouble] = field(default_factory=list[Trouble])
    changed: list[Trouble] = field(default_factory=list[Trouble])
    over: list[str] = field(default_factory=list[str])
    well: list[Desired] = field(default_factory=list[Desired])
    here: list[Desired] = field(default_factory=list[Desired])
    gave_up: list[Trouble] = field(default_factory=list[Trouble])
    due: list[datetime] = field(default_factory=list[datetime])


@dataclass(slots=True)
class _Mended:
    """What was done on a node; `busy`: why nothing could be."""

    steps: list[StepResult] = field(default_factory=list[StepResult])
    waiting: dict[str, str] = field(default_factory=dict[str, str])
    gave_up: list[Trouble] = field(default_factory=list[Trouble])
    busy: str = ""


class Reconciler:
    """Looks and mends. `now` is its clock; `deadline` is for a node's answer, in seconds."""

    def __init__(
        self,
        settings: Settings,
        backoff: Backoff | None = None,
        *,
        deadline: float = 5.0,
        interrupt_runs: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._state = State(settings.state_file)
        self._backoff = backoff or Backoff()
        self._deadline = deadline
        self._interrupt_runs = interrupt_runs
        self._now = now
        self._known = Known()

    async def node(self, site: Site, node: Node, *, mend: bool = True) -> Reconciled:
        """Look at the node, and mend it.

        Who can't know what operators want mends nothing: the `problem` is told with what was seen.
        """
        chosen = Chosen(node, tuple(node.instances), whole=True)
        try:
            self._known = await asyncio.to_thread(Known.now, self._state)
            return await self._look(site, chosen, mend=mend)
        except StateUnusable as error:
            look = await Looking(site, self._settings, self._deadline, self._known).at(chosen)
            return Reconciled(look.status, problem=error)

    async def _look(self, site: Site, chosen: Chosen, *, mend: bool) -> Reconciled:
        node, known = chosen.node, self._known
        look = await Looking(site, self._settings, self._deadline, known).at(chosen)
        if not mend or not look.status.reachable:
            return Reconciled(look.status)
        found = self._judge(site, node, known, look.containers)
        for one in found.here:
            # What was slow to be well, or whose apply was cut off: nobody noted yet that it is here.
            await asyncio.to_thread(hold, self._state, site, node.name, one.declared.name, one.spec)
        if not (found.steps or found.changed or found.over):
            return Reconciled(look.status, due=min(found.due, default=None))
        # In a thread and a loop of its own: whoever holds the state file makes nobody else wait.
        mended = await in_own_loop(lambda: self._mend(site, chosen, found.steps))
        known = self._known = await asyncio.to_thread(Known.now, self._state)
        look = await Looking(site, self._settings, self._deadline, known).at(chosen)
        after = self._judge(site, node, known, look.containers)
        busy = {step.instance: mended.busy for step in found.steps if mended.busy}
        return Reconciled(
            look.status, mended.steps, {**busy, **mended.waiting}, mended.gave_up, min(after.due, default=None)
        )

    async def _mend(self, site: Site, chosen: Chosen, steps: Sequence[Step]) -> "_Mended":
        await self._fetch(site, chosen.node, steps)
        call = Call("reconcile", who=SERVICE, wait=0.0, deadline=_MEND, interrupt_runs=self._interrupt_runs)
        mended = _Mended()

        async def work(chosen: Chosen) -> NodeResult:
            await self._on_node(site, chosen, call, mended)
            return NodeResult(name=chosen.node.name)

        for result in await each_node(Selection((chosen,), named=False), self._settings, call, work, Record()):
            mended.busy = result.error
        return mended

    async def _fetch(self, site: Site, node: Node, steps: Sequence[Step]) -> None:
        """Pull what will be needed before the node is locked: an operator who waits for it waits for no registry.

        What can't be had is told, and counted, when it is needed.
        """
        wanted = {step.spec.digest: step.spec for step in steps if step.kind in {"create", "recreate"} and step.spec}
        if not wanted:
            return
        login = registry_login(site, self._settings)
        async with Engine(endpoint(node, self._settings)) as engine:
            for spec in wanted.values():
                with suppress(EngineError):
                    await engine.ensure_image(spec.reference, spec.digest, login)

    async def _on_node(self, site: Site, chosen: Chosen, call: Call, mended: "_Mended") -> None:
        """With the node's lock held: what was seen before may have been somebody's work."""
        node = chosen.node
        guard = Guard(site, self._settings, permitted=self._interrupt_runs)
        async with Engine(endpoint(node, self._settings), Deadlines(pull=_PULL_LOCKED)) as engine:
            seen = await engine.observe(labels_of(site, node))
            known = Known.now(self._state)
            wanted = desired(site, node, known.overrides)
            found = self._judge(site, node, known, seen.containers)
            steps: list[Step] = []
            for step in found.steps:
                try:
                    if step.interrupts:
                        await guard.check(by_name(wanted).get(step.instance))
                except Refused as error:
                    mended.waiting[step.instance] = str(error)
                else:
                    steps.append(step)
            # The try is counted before it is made: a service that ends in the middle tries no more often for that.
            named = {step.instance for step in steps}
            # What is over first: of the same instance something else may have begun.
            forget(self._state, node.name, found.over)
            remember(self._state, [*found.changed, *(one for one in found.tried if one.instance in named)])
            # Only now it is known that what was started without waiting for its health is worth coming back to.
            for one in found.well:
                note(self._state, node.name, one.declared.name, one.spec, who=call.who, verb=call.verb)
            for one in found.gave_up:
                self._note(one)
            mended.gave_up = found.gave_up
            if not steps:
                return
            doing = Steps(site, node, self._settings, guard=guard, call=call, instances=by_name(wanted), settle=False)
            with recorded(self._settings, call, [f"{node.name}/{step.instance}" for step in steps]) as record:
                mended.steps = await doing.do(engine, steps)
                record.node(NodeResult(name=node.name, steps=mended.steps))
                record.detail += [
                    f"{node.name}/{one.instance}: try {one.tries} of {self._backoff.tries}, because {one.reason}"
                    for one in found.tried
                    if one.instance in named
                ]

    def _note(self, trouble: Trouble) -> None:
        """Give up is an entry of its own in history."""
        where = f"{trouble.node}/{trouble.instance}"
        entry = history.begin(self._state, SERVICE, "give-up", [where], {})
        history.end(self._state, entry, "failed", [f"{where}: {trouble.reason}; {trouble.words}"])

    def _judge(self, site: Site, node: Node, known: Known, containers: Sequence[Container]) -> _Verdicts:
        found = _Verdicts()
        if known.overrides.first(node.name, "", "disabled") is None:
            wanted = desired(site, node, known.overrides)
            self._declared(found, wanted, containers, known.troubles, node.name)
            there = {container.name: container for container in containers}
            found.here += [
                one
                for one in wanted
                if self._is_well(one, there.get(one.spec.name)) and not has(known.holders, node.name, one.declared.name)
            ]
        # On a disabled node, too: what is left there fights with what is in use elsewhere.
        left = stops(node, containers, taken_over(site, node, known.holders), known.overrides)
        self._left(found, left, known.troubles, node.name)
        return found

    def _declared(
        self,
        found: _Verdicts,
        wanted: Sequence[Desired],
        containers: Sequence[Container],
        known: Mapping[tuple[str, str], Trouble],
        node: str,
    ) -> None:
        there = {container.name: container for container in containers}
        for one in wanted:
            trouble = known.get((node, one.declared.name))
            if trouble is not None and (trouble.spec != one.spec.sha256 or one.held):
                found.over.append(one.declared.name)
                trouble = None
            container = there.get(one.spec.name)
            step = wrong(one, container)
            if step is None:
                self._not_wrong(found, one, container, trouble)
            else:
                fresh = Trouble(node=node, instance=one.declared.name, spec=one.spec.sha256, reason=step.reason)
                self._wrong(found, step, trouble or fresh)

    def _left(
        self, found: _Verdicts, left: Sequence[Step], known: Mapping[tuple[str, str], Trouble], node: str
    ) -> None:
        """What runs of what another node has taken over, and what did and is stopped now."""
        # Without a spec is the trouble of what should not be there.
        mine = {trouble.instance: trouble for (at, _), trouble in known.items() if at == node and not trouble.spec}
        for step in left:
            fresh = Trouble(node=node, instance=step.instance, spec="", reason=step.reason)
            trouble = mine.pop(step.instance, fresh)
            began = step.container.started if step.container else None
            # What could not be stopped before its node was booted may be now. Until the give-up the pauses go on growing.
            again = trouble.gave_up and trouble.tried and began and began > trouble.tried
            self._wrong(found, step, fresh if again else trouble)
        found.over += mine

    def _not_wrong(self, found: _Verdicts, one: Desired, container: Container | None, trouble: Trouble | None) -> None:
        if trouble is None:
            return
        if one.stopped:
            found.over.append(trouble.instance)
        elif container is not None and container.running and container.health in {"", "healthy"}:
            after = self._backoff.well(trouble, self._now())
            if after is None:
                found.over.append(trouble.instance)
                found.well += [one] if container.labels.get(SPEC_LABEL) == one.spec.sha256 else []
            elif after != trouble:
                found.changed.append(after)

    def _is_well(self, one: Desired, container: Container | None) -> bool:
        """Whether it runs as it should, is the real one, and got over its start."""
        if container is None or not container.running or container.labels.get(SPEC_LABEL) != one.spec.sha256:
            return False
        up_for_long = container.started is not None and self._now() - container.started >= _UP_FOR_LONG
        return not one.simulated and (container.health == "healthy" or (not container.health and up_for_long))

    def _wrong(self, found: _Verdicts, step: Step, trouble: Trouble) -> None:
        now = self._now()
        trouble = self._backoff.sick(trouble, step.reason)
        verdict = self._backoff.verdict(trouble, now)
        if verdict == "try":
            tried = trouble.model_copy(update={"tries": trouble.tries + 1, "tried": now})
            found.steps.append(step)
            found.tried.append(tried)
        elif verdict == "give up":
            over = trouble.model_copy(update={"gave_up": now})
            found.changed.append(over)
            found.gave_up.append(over)
        elif verdict == "wait":
            due = self._backoff.due(trouble)
            found.due += [due] if due else []


def wrong(one: Desired, container: Container | None) -> Step | None:
    """What would mend an instance; None when nothing is to be mended, or operators want it to be left alone."""
    name = one.declared.name
    if one.held:
        return None
    if one.stopped:
        return next(iter(plan([one.spec], [container] if container else [], stopped={name: one.stopped})), None)
    if container is None or container.state in _ENDED:
        return next(iter(plan([one.spec], [container] if container else [])), None)
    if container.running and container.health == "unhealthy":
        return Step("restart", name, "its health check fails", container=container)
    return None
