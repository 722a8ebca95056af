"""Does the steps of a plan on one node, and says of each what came of it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from bluefleet.engine import LABEL, Container, ContainerSpec, Engine, EngineError, RegistryLogin
from bluefleet.fleet._applied import note
from bluefleet.fleet._call import Call
from bluefleet.fleet._desired import running_as
from bluefleet.fleet._guard import Guard, Refused
from bluefleet.fleet._holders import hold, let_go
from bluefleet.fleet._kept_logs import keep
from bluefleet.fleet._pace import all_ended
from bluefleet.fleet._plan import Step
from bluefleet.fleet._render import registry_login, selection
from bluefleet.fleet._report import Outcome, StepResult
from bluefleet.fleet._settings import Settings
from bluefleet.fleet._state import State
from bluefleet.model import Instance, Node, Site

_STEPS_AT_ONCE = 4
# The pause until a started instance is looked at again: most are well within a second or two, and some take a minute.
_LOOK_AGAIN, _LONGER, _LONGEST = 0.2, 1.5, 2.0
# What nothing checks counts as well when it has run that long: a wrong command ends sooner.
_UP = 2.0
# How long a killed container may take to be gone: its kernel may wait for a device.
_DIES = 10.0
# A stop command without any grace still gets a moment.
_LEAST_STOP = 1.0


class Steps:
    """All that is done on one node. `instances` are those it may find there, by name, as they are now.

    `on_refused` is told at once of each instance that a plan keeps. Without `settle` what was started may still turn out
    not to be well: who asked looks again.
    """

    def __init__(
        self,
        site: Site,
        node: Node,
        settings: Settings,
        *,
        guard: Guard,
        call: Call,
        instances: Mapping[str, Instance],
        on_refused: Callable[[str], None] = lambda _: None,
        settle: bool = True,
    ) -> None:
        self._site = site
        self._node = node
        self._labels = selection(site, node)
        self._settings = settings
        self._guard = guard
        self._call = call
        self._instances = instances
        self._on_refused = on_refused
        self._settle = settle
        self._looking = asyncio.Lock()

    async def do(self, engine: Engine, steps: Sequence[Step]) -> list[StepResult]:
        """Do all of them, some at once; what fails stops no other."""
        # What is removed frees ports and devices that the others may be declared to take.
        removed = await self._together(engine, [step for step in steps if step.kind == "remove"])
        done = await self._together(engine, [step for step in steps if step.kind != "remove"])
        return [*removed, *done]

    async def foresee(self, steps: Sequence[Step]) -> list[StepResult]:
        """Do nothing; what would be refused now, because a plan uses it, is told as refused."""
        found: list[StepResult] = []
        for step in steps:
            try:
                await self.allow(step)
            except Refused as error:
                found.append(result(step, "refused", str(error)))
            else:
                found.append(result(step, "planned"))
        return found

    async def allow(self, step: Step) -> None:
        """Raise Refused when it would take an instance away from a plan that runs."""
        if step.interrupts:
            await self._guard.check(self._instances.get(step.instance))

    async def _together(self, engine: Engine, steps: Sequence[Step]) -> list[StepResult]:
        room = asyncio.Semaphore(_STEPS_AT_ONCE)
        images = _Images(engine, registry_login(self._site, self._settings))

        async def one(step: Step) -> StepResult:
            found = await self._one(engine, images, step, room)
            self._call.over.append((self._node.name, found))
            return found

        return await all_ended(one(step) for step in steps)

    async def _one(self, engine: Engine, images: "_Images", step: Step, room: asyncio.Semaphore) -> StepResult:
        where = f"{self._node.name}/{step.instance}"
        try:
            # What was started is watched outside: the next has no need to wait until that is well.
            async with room:
                await self.allow(step)
                self._call.tell(f"{where}: {step.kind} ({step.reason})")
                notes = await self._perform(engine, images, step)
            starts = self._settle and step.kind in {"create", "recreate", "start", "restart"}
            trouble = await self._settled(engine, step) if starts else ""
        except Refused as error:
            self._on_refused(step.instance)
            return result(step, "refused", str(error))
        except EngineError as error:
            return result(step, "failed", f"{error.tried}: {error.reason}. {error.remedy}")
        if trouble:
            return result(step, "failed", "; ".join([trouble, *notes]))
        state, call = State(self._settings.state_file), self._call
        # What came back from another node may only have to be started.
        if starts and step.spec is not None:
            note(state, self._node.name, step.instance, step.spec, who=call.who, verb=call.verb)
            hold(state, self._site, self._node.name, step.instance, step.spec)
        elif step.kind == "remove":
            let_go(state, self._node.name, step.instance)
        return result(step, "done", "; ".join(notes))

    async def _settled(self, engine: Engine, step: Step) -> str:
        within = self._call.healthy_within
        return await settled(engine, step.instance, self._labels, within=within, looking=self._looking)

    async def _perform(self, engine: Engine, images: "_Images", step: Step) -> list[str]:
        """Do it; returns what went wrong on the way without being in the way."""
        there = step.container
        notes: list[str] = []
        if there is None or step.kind == "recreate":
            await self._make(engine, images, step, notes)
        elif step.kind == "kill" and there.state == "restarting":
            # There is no process to kill, only an engine's intent.
            await engine.stop(there.id, 0)
        elif step.kind == "kill":
            await engine.kill(there.id)
            await _dead(engine, there, self._labels)
        elif step.kind == "remove":
            notes += await self._take_away(engine, step.instance, there)
        else:
            notes += await self._stop(engine, step.instance, there) if step.kind in {"stop", "restart"} else []
            if step.kind in {"start", "restart"}:
                await engine.start(there.id)
        return notes

    async def _make(self, engine: Engine, images: "_Images", step: Step, notes: list[str]) -> None:
        if step.spec is None:
            return
        # The image first: what runs goes on until its successor can really be made. A plan may have begun meanwhile.
        image = await images.ensure(step.spec)
        await engine.ensure_volumes(step.spec.mounts, {f"{LABEL}.{key}": value for key, value in self._labels.items()})
        await self.allow(step)
        if step.container is not None:
            notes += await self._take_away(engine, step.instance, step.container)
        await engine.start(await engine.create(step.spec, image))

    async def _stop(self, engine: Engine, name: str, container: Container) -> list[str]:
        """The declared stop command first, then the stop signal, and after the grace an end; returns what went wrong."""
        # Between a change of what is desired and the apply that follows, the other one of both still runs.
        instance = running_as(self._instances.get(name), container)
        grace = instance.stop_grace_seconds if instance else container.stop_grace
        notes: list[str] = []
        if instance is not None and instance.stop_command and container.running:
            try:
                ran = await engine.execute(container.id, instance.stop_command, within=max(grace, _LEAST_STOP))
            except EngineError as error:
                notes.append(f"its stop command failed: {error.reason}")
            else:
                words = (ran.stderr or ran.stdout).decode(errors="replace").strip()[-200:]
                notes += [f"its stop command ended with {ran.exit_code}: {words}"] if ran.exit_code else []
        await engine.stop(container.id, grace)
        return notes

    async def _take_away(self, engine: Engine, name: str, container: Container) -> list[str]:
        notes: list[str] = []
        if container.state in {"running", "restarting", "paused"}:
            notes = await self._stop(engine, name, container)
        notes += await keep(engine, container, self._kept(name))
        await engine.remove(container.id)
        return notes

    def _kept(self, name: str) -> Path:
        return self._settings.logs_folder / self._node.name / name


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


async def settled(
    engine: Engine,
    instance: str,
    labels: dict[str, str],
    *,
    within: float,
    anew: bool = True,
    looking: asyncio.Lock | None = None,
) -> str:
    """Wait until the instance is healthy (or runs, if nothing checks it). Returns what is wrong, in words.

    One that was made `anew` must not have ended even once. All that wait with the same `looking` look in turns.
    """
    loop = asyncio.get_running_loop()
    begin = loop.time()
    deadline = begin + within
    pause = _LOOK_AGAIN
    while True:
        async with looking or nullcontext():
            seen = await engine.observe({**labels, "instance": instance})
        container = next(iter(seen.containers), None)
        if container is None:
            return "it is gone again"
        if (container.restarts and anew) or container.state in {"exited", "dead"}:
            return (
                f"it does not stay up: it ended with {container.exit_code}; "
                f"look at `bluefleet logs {labels['node']}/{instance}`"
            )
        if container.running and (
            container.health == "healthy" or (not container.health and loop.time() > begin + _UP)
        ):
            return ""
        if container.health == "unhealthy" or loop.time() > deadline:
            return f"not healthy after {loop.time() - begin:.0f} s: it is {container.state} {container.health}".rstrip()
        await asyncio.sleep(pause)
        pause = min(pause * _LONGER, _LONGEST)


async def _dead(engine: Engine, container: Container, labels: dict[str, str]) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _DIES
    while loop.time() < deadline:
        seen = await engine.observe(labels)
        if not any(one.id == container.id and one.running for one in seen.containers):
            return
        await asyncio.sleep(_LOOK_AGAIN)


def result(step: Step, outcome: Outcome, detail: str = "") -> StepResult:
    """What the report says of a step."""
    return StepResult(instance=step.instance, action=step.kind, reason=step.reason, outcome=outcome, detail=detail)
