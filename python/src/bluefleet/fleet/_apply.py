"""Make actual equal desired: all nodes at once, each step with its result, a sick node in nobody's way."""

import asyncio
from collections.abc import Callable, Sequence

from bluefleet.engine import Container, ContainerSpec, Engine, EngineError, RegistryLogin
from bluefleet.fleet._devices import sync
from bluefleet.fleet._plan import Step, plan
from bluefleet.fleet._queue import Queue, QueueError, RunningPlan
from bluefleet.fleet._render import container_spec, endpoint, registry_login, selection
from bluefleet.fleet._report import ApplyReport, NodeResult, StepResult
from bluefleet.fleet._selection import select
from bluefleet.fleet._settings import Settings
from bluefleet.model import Instance, Node, Site

_NODES_AT_ONCE = 64
_STEPS_AT_ONCE = 4
# How long a started instance may take to be healthy before it counts as failed, and how often it is looked at.
_SETTLE = 90.0
_LOOK_AGAIN = 0.5
# The queue's answer serves the steps that ask at about the same time; a pull of an image takes longer.
_ASKED_LATELY = 1.0
# What nothing checks counts as well when it has run that long: a wrong command ends sooner.
_UP = 2.0

Progress = Callable[[str], None]


class _Refused(Exception):
    """A step must not be done now; says why."""


async def apply(
    site: Site,
    settings: Settings,
    *,
    check: bool,
    interrupt_runs: bool,
    progress: Progress,
    nodes: Sequence[str] = (),
) -> ApplyReport:
    """Apply the declared site (or these `nodes` of it), or with `check` say what that would do.

    What goes wrong on a node is in the report and stops no other node. Devices are always those of the whole site.
    """
    guard = _Guard(site, settings, permitted=interrupt_runs or check)
    room = asyncio.Semaphore(_NODES_AT_ONCE)

    async def one(node: Node) -> NodeResult:
        async with room:
            work = _NodeWork(site, node, settings, guard, progress)
            return await work.run(check=check)

    results = await asyncio.gather(*(one(node) for node in (chosen.node for chosen in select(site, nodes))))
    devices = await asyncio.to_thread(sync, site, settings, check=check)
    changed = devices.changed or any(step.outcome in {"done", "planned"} for node in results for step in node.steps)
    ok = all(node.ok for node in results)
    return ApplyReport(site=site.site, check=check, ok=ok, changed=changed, nodes=results, devices=devices)


class _Guard:
    """Refuses what would take an instance away from a plan that runs."""

    def __init__(self, site: Site, settings: Settings, *, permitted: bool) -> None:
        self._queue = None if permitted else Queue.of(site, settings)
        self._devices = frozenset(placed.device.name for placed in site.placed_devices())
        self._asked: asyncio.Task[RunningPlan | None] | None = None
        self._asked_at = 0.0

    async def check(self, step: Step, instance: Instance | None) -> None:
        """Raise _Refused, saying why, when the step must not be done now."""
        if self._queue is None or not step.interrupts:
            return
        now = asyncio.get_running_loop().time()
        if self._asked is None or now - self._asked_at > _ASKED_LATELY:
            self._asked_at = now
            self._asked = asyncio.create_task(asyncio.to_thread(_running_plan, self._queue))
        allow = "wait for its end, or allow it with -e interrupt_runs=true (bluefleet apply --interrupt-runs)"
        try:
            running = await self._asked
        except QueueError as error:
            raise _Refused(f"not known whether a plan runs: {error}; {allow}") from error
        if running is not None and self._uses(running, instance):
            raise _Refused(f"run {running.run} ({running.name}) uses it, or may; {allow}")

    def _uses(self, running: RunningPlan, instance: Instance | None) -> bool:
        # Which devices an instance that is not declared any more has served, nobody knows. Nor which devices a plan
        # uses whose arguments name none: they are named in its body.
        if instance is None or not self._devices & running.words:
            return instance is None or bool(instance.devices)
        return any(device.name in running.words for device in instance.devices)


def _running_plan(queue: Queue) -> RunningPlan | None:
    return queue.state().running


class _NodeWork:
    """All that is done on one node."""

    def __init__(self, site: Site, node: Node, settings: Settings, guard: _Guard, progress: Progress) -> None:
        self._site = site
        self._node = node
        self._settings = settings
        self._guard = guard
        self._progress = progress
        self._instances = {instance.name: instance for instance in node.instances}

    async def run(self, *, check: bool) -> NodeResult:
        specs = [container_spec(self._site, self._node, instance) for instance in self._node.instances]
        try:
            async with Engine(endpoint(self._node, self._settings)) as engine:
                seen = await engine.observe(selection(self._site, self._node))
                steps = plan(specs, seen.containers)
                if check:
                    results = [_result(step, "planned") for step in steps]
                else:
                    results = await self._do(engine, steps)
        except EngineError as error:
            return NodeResult(name=self._node.name, error=f"{error.tried}: {error.reason}", remedy=error.remedy)
        return NodeResult(name=self._node.name, steps=results)

    async def _do(self, engine: Engine, steps: Sequence[Step]) -> list[StepResult]:
        # What is removed frees ports and devices that the others may be declared to take.
        removed = await self._together(engine, [step for step in steps if step.kind == "remove"])
        done = await self._together(engine, [step for step in steps if step.kind != "remove"])
        return [*removed, *done]

    async def _together(self, engine: Engine, steps: Sequence[Step]) -> list[StepResult]:
        room = asyncio.Semaphore(_STEPS_AT_ONCE)
        images = _Images(engine, registry_login(self._site, self._settings))

        async def one(step: Step) -> StepResult:
            async with room:
                return await self._one(engine, images, step)

        return await asyncio.gather(*(one(step) for step in steps))

    async def _one(self, engine: Engine, images: "_Images", step: Step) -> StepResult:
        where = f"{self._node.name}/{step.instance}"
        try:
            await self._allow(step)
            self._progress(f"{where}: {step.kind} ({step.reason})")
            await self._perform(engine, images, step)
            trouble = await _settled(engine, step, selection(self._site, self._node)) if step.spec else ""
        except _Refused as error:
            return _result(step, "refused", str(error))
        except EngineError as error:
            trouble = f"{error.tried}: {error.reason}. {error.remedy}"
        if trouble:
            return _result(step, "failed", trouble)
        return _result(step, "done")

    async def _allow(self, step: Step) -> None:
        await self._guard.check(step, self._instances.get(step.instance))

    async def _perform(self, engine: Engine, images: "_Images", step: Step) -> None:
        if step.spec is None or step.kind == "remove":
            await _take_away(engine, step.container)
            return
        if step.kind == "start" and step.container is not None:
            await engine.start(step.container.id)
            return
        # The image first: what runs goes on until its successor can really be made. A plan may have begun meanwhile.
        image = await images.ensure(step.spec)
        await self._allow(step)
        await _take_away(engine, step.container, step.spec.stop_grace)
        await engine.start(await engine.create(step.spec, image))


class _Images:
    """Each image is looked for, and pulled, once for all instances of a node that wait for it."""

    def __init__(self, engine: Engine, login: RegistryLogin | None) -> None:
        self._engine = engine
        self._login = login
        self._tasks: dict[str, asyncio.Task[str]] = {}

    async def ensure(self, spec: ContainerSpec) -> str:
        if spec.digest not in self._tasks:
            work = self._engine.ensure_image(spec.reference, spec.digest, self._login)
            self._tasks[spec.digest] = asyncio.create_task(work)
        return await self._tasks[spec.digest]


async def _take_away(engine: Engine, container: Container | None, grace: int = 10) -> None:
    if container is None:
        return
    if container.running:
        await engine.stop(container.id, grace)
    await engine.remove(container.id)


async def _settled(engine: Engine, step: Step, labels: dict[str, str]) -> str:
    """Wait until the instance is healthy (or runs, if nothing checks it). Returns what is wrong, in words."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    deadline = begin + _SETTLE
    while True:
        seen = await engine.observe({**labels, "instance": step.instance})
        container = next(iter(seen.containers), None)
        if container is None:
            return "it is gone again"
        if container.restarts or container.state in {"exited", "dead"}:
            log = f"docker logs {container.name}"
            return f"it does not stay up: it ended with {container.exit_code}; look at `{log}` on the node"
        if container.running and (
            container.health == "healthy" or (not container.health and loop.time() > begin + _UP)
        ):
            return ""
        if container.health == "unhealthy" or loop.time() > deadline:
            return f"not healthy after {loop.time() - begin:.0f} s: it is {container.state} {container.health}".rstrip()
        await asyncio.sleep(_LOOK_AGAIN)


def _result(step: Step, outcome: str, detail: str = "") -> StepResult:
    return StepResult.model_validate(
        {"instance": step.instance, "action": step.kind, "reason": step.reason, "outcome": outcome, "detail": detail}
    )
