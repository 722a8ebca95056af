"""start, stop, restart and kill: what an operator wants of chosen instances, now and until further notice."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

from bluefleet.engine import Container, Engine
from bluefleet.fleet._call import Call, each_node, recorded
from bluefleet.fleet._desired import Desired, by_name, desired
from bluefleet.fleet._guard import Guard, Refused
from bluefleet.fleet._overrides import Override, Overrides, put, remove
from bluefleet.fleet._plan import Step, plan
from bluefleet.fleet._render import endpoint
from bluefleet.fleet._render import selection as labels_of
from bluefleet.fleet._report import NodeResult, OperationReport, StepResult
from bluefleet.fleet._selection import Chosen, Selection
from bluefleet.fleet._settings import Settings
from bluefleet.fleet._state import State
from bluefleet.fleet._steps import Steps, result
from bluefleet.fleet._troubles import forget
from bluefleet.model import Site

OperationVerb: TypeAlias = Literal["start", "stop", "restart", "kill"]

_ENDED = {"created", "exited", "dead"}
_StepOf: TypeAlias = Callable[[Desired, Mapping[str, Container]], Step | None]


async def operate(
    site: Site, settings: Settings, verb: OperationVerb, selection: Selection, call: Call
) -> OperationReport:
    """Do it to the chosen instances; what goes wrong on a node is in the report and stops no other.

    `stop` and `kill` are overrides until `start` or `clear`, also where the node can't be reached now: `apply` makes
    them true later. Raises StateUnusable.
    """
    guard = Guard(site, settings, permitted=call.interrupt_runs)

    async def work(chosen: Chosen) -> NodeResult:
        return await _OnNode(site, settings, verb, chosen, call, named=selection.named).run(guard)

    with recorded(settings, call, selection.names) as record:
        results = await each_node(selection, settings, call, work, record)
    return operation_report(site, call, results)


def operation_report(site: Site, call: Call, results: Sequence[NodeResult]) -> OperationReport:
    """The report of a verb."""
    return OperationReport(
        site=site.site,
        verb=call.verb,
        dry_run=call.dry_run,
        ok=all(node.ok for node in results),
        changed=any(step.outcome in {"done", "planned"} for node in results for step in node.steps),
        nodes=list(results),
    )


class _OnNode:
    """One verb on one node, with its lock held."""

    def __init__(
        self, site: Site, settings: Settings, verb: OperationVerb, chosen: Chosen, call: Call, *, named: bool
    ) -> None:
        self._site = site
        self._node = chosen.node
        self._settings = settings
        self._verb: OperationVerb = verb
        self._names = {instance.name for instance in chosen.instances}
        self._call = call
        self._named = named
        self._state = State(settings.state_file)
        self._overrides = Overrides.now(self._state)

    async def run(self, guard: Guard) -> NodeResult:
        wanted = [one for one in self._wanted() if one.declared.name in self._names]
        refused = [step for step in map(self._refusal, wanted) if step is not None]
        kept = {step.instance for step in refused}
        wanted = [one for one in wanted if one.declared.name not in kept]
        if self._verb in {"stop", "kill"}:
            results = await self._end(guard, wanted)
        else:
            results = await self._begin(guard, wanted)
        return NodeResult(name=self._node.name, steps=[*refused, *results])

    def _wanted(self) -> list[Desired]:
        return desired(self._site, self._node, self._overrides)

    def _refusal(self, one: Desired) -> StepResult | None:
        """Ending is always allowed; what somebody took out of use is not put to work behind their back."""
        name = one.declared.name
        why, remedy = "", ""
        if self._verb in {"start", "restart"} and one.disabled is not None:
            why, remedy = one.disabled.words, f"`bluefleet enable {self._node.name}/{name}` puts it into use again"
        elif self._verb == "restart" and one.stopped:
            why, remedy = one.stopped, f"`bluefleet start {self._node.name}/{name}` starts it"
        if not why:
            return None
        # Who says "all" means all that can be.
        return result(
            Step(self._verb, name, "it was asked for"), "refused" if self._named else "held", f"{why}. {remedy}"
        )

    async def _end(self, guard: Guard, wanted: Sequence[Desired]) -> list[StepResult]:
        """Stop or kill: the override first, so that nothing starts again what could not be reached now.

        What a plan took meanwhile is asked for in vain: it stays as it was, and so does what is desired of it.
        """
        refused: list[StepResult] = []
        allowed: list[Desired] = []
        for one in wanted:
            try:
                await guard.check(one.instance)
                allowed.append(one)
            except Refused as error:
                refused.append(result(Step(self._verb, one.declared.name, "it was asked for"), "refused", str(error)))
        to_stop = [] if self._call.dry_run else [one.declared.name for one in allowed if not one.stopped]
        added = [self._stopped(name) for name in to_stop]
        put(self._state, added)

        def take_back(name: str) -> None:
            remove(self._state, [one for one in added if one.instance == name])

        return [*refused, *await self._on_engine(guard, allowed, _ending(self._verb), take_back)]

    async def _begin(self, guard: Guard, wanted: Sequence[Desired]) -> list[StepResult]:
        over = [one for desired_ in wanted for one in desired_.overrides if one.kind == "stopped"]
        if self._verb == "start" and not self._call.dry_run:
            remove(self._state, over)
        if not self._call.dry_run:
            # Whoever starts it wants it to be tried again.
            forget(self._state, self._node.name, (one.declared.name for one in wanted))
        return await self._on_engine(guard, wanted, _starting if self._verb == "start" else _restarting)

    async def _on_engine(
        self,
        guard: Guard,
        wanted: Sequence[Desired],
        step_of: _StepOf,
        on_refused: Callable[[str], None] = lambda _: None,
    ) -> list[StepResult]:
        if not wanted:
            return []
        async with Engine(endpoint(self._node, self._settings)) as engine:
            seen = await engine.observe(labels_of(self._site, self._node))
            there = {container.name: container for container in seen.containers}
            steps = [step for one in wanted if (step := step_of(one, there)) is not None]
            doing = Steps(
                self._site,
                self._node,
                self._settings,
                guard=guard,
                call=self._call,
                instances=by_name(wanted),
                on_refused=on_refused,
            )
            return await (doing.foresee(steps) if self._call.dry_run else doing.do(engine, steps))

    def _stopped(self, instance: str) -> Override:
        return Override(
            node=self._node.name, instance=instance, kind="stopped", who=self._call.who, reason=self._call.reason
        )


def _ending(verb: OperationVerb) -> _StepOf:
    def step(one: Desired, there: Mapping[str, Container]) -> Step | None:
        container = there.get(one.spec.name)
        if container is None or container.state in _ENDED:
            return None
        return Step(verb, one.declared.name, "it was asked for", container=container)

    return step


def _starting(one: Desired, there: Mapping[str, Container]) -> Step | None:
    """What runs is left alone, also where it differs; what does not is started as it should be."""
    container = there.get(one.spec.name)
    if container is not None and container.state not in {*_ENDED, "paused"}:
        return None
    if container is not None and one.held:
        # Somebody wants it to stay as it is.
        return Step("start", one.declared.name, f"it is {container.state}", container=container)
    return next(iter(plan([one.spec], [container] if container else [])), None)


def _restarting(one: Desired, there: Mapping[str, Container]) -> Step | None:
    """The container that is there, as it is: a restart changes nothing."""
    container = there.get(one.spec.name)
    if container is None:
        return Step("create", one.declared.name, "it is not there", spec=one.spec)
    return Step("restart", one.declared.name, "it was asked for", container=container)
