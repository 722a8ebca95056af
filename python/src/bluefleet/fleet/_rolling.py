"""Change instances a few at a time, the next only when these are well, and stop at the first that does not get well."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bluefleet.engine import SPEC_LABEL, Container, ContainerSpec, Engine, EngineError
from bluefleet.fleet._applied import Applied, forget, note, on_node, surplus, withdraw_since
from bluefleet.fleet._call import Call, each_node, recorded
from bluefleet.fleet._desired import Desired, by_name, desired
from bluefleet.fleet._guard import Guard, Refused
from bluefleet.fleet._holders import hold
from bluefleet.fleet._overrides import Override, Overrides, put_within, remove_within
from bluefleet.fleet._pace import all_ended
from bluefleet.fleet._plan import Step, plan
from bluefleet.fleet._render import endpoint, registry_login
from bluefleet.fleet._render import selection as labels_of
from bluefleet.fleet._report import NodeResult, RollingReport, StepResult
from bluefleet.fleet._selection import Chosen, Selection
from bluefleet.fleet._settings import Settings
from bluefleet.fleet._state import State
from bluefleet.fleet._steps import Steps, result, settled
from bluefleet.model import Node, Site


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of the overrides of one instance; `back` is the spec that it is rolled back to."""

    put: tuple[Override, ...] = ()
    taken: tuple[Override, ...] = ()
    back: Applied | None = None

    @property
    def specs(self) -> Mapping[tuple[str, str, str], ContainerSpec]:
        """The spec, by the override that names it."""
        if self.back is None:
            return {}
        return {(one.node, one.instance, one.value): self.back.spec for one in self.put}


class Held(Exception):
    """An instance is left as it is, and why. `refused`: who named it is told so by the exit code."""

    def __init__(self, why: str, *, refused: bool = False) -> None:
        self.refused = refused
        super().__init__(why)


# What the health of an instance is that is well: nothing checks it, or what does is content.
_WELL = {"", "healthy"}
# Overrides that say which spec an instance has.
_VERSIONS = {"pinned", "rolled-back"}

ChangeOf = Callable[[Node, Desired], Change]


@dataclass(slots=True)
class _Work:
    """What every instance is changed with."""

    site: Site
    settings: Settings
    call: Call
    guard: Guard
    change_of: ChangeOf
    state: State = field(init=False)

    def __post_init__(self) -> None:
        self.state = State(self.settings.state_file)


async def rolling(
    site: Site,
    settings: Settings,
    selection: Selection,
    call: Call,
    *,
    serial: int,
    change_of: ChangeOf,
    **options: object,
) -> RollingReport:
    """Change the chosen instances, `serial` at a time, in the order of the site file. Raises StateUnusable.

    Run again after it was interrupted, or failed, it goes through what is done already without touching it.
    """
    guard = Guard(site, settings, permitted=call.interrupt_runs)
    work = _Work(site, settings, call, guard, change_of)
    results: dict[str, NodeResult] = {}
    reached: list[str] = []
    waiting = list(_batches(selection, serial))
    with recorded(settings, call, selection.names, **options) as record:
        try:
            while waiting:
                batch = waiting.pop(0)
                found = await each_node(batch, settings, call, lambda chosen: _on_node(work, chosen), record)
                for node in found:
                    results[node.name] = _together(results.get(node.name), node)
                reached += [name for chosen, node in zip(batch, found, strict=True) for name in _reached(chosen, node)]
                if not all(node.ok for node in found):
                    break
        finally:
            left = [name for batch in waiting for name in batch.names]
            record.detail += [f"not reached: {', '.join(left)}"] if left else []
    nodes = list(results.values())
    return RollingReport(
        site=site.site,
        verb=call.verb,
        dry_run=call.dry_run,
        ok=all(node.ok for node in nodes),
        changed=any(step.outcome in {"done", "planned"} for node in nodes for step in node.steps),
        nodes=nodes,
        reached=reached,
        not_reached=left,
    )


def _batches(selection: Selection, serial: int) -> Iterator[Selection]:
    placed = selection.placed
    for begin in range(0, len(placed), serial):
        now = placed[begin : begin + serial]
        nodes = {node.name: node for node, _ in now}
        yield Selection(
            tuple(
                Chosen(node, tuple(instance for on, instance in now if on.name == name), whole=False)
                for name, node in nodes.items()
            ),
            named=selection.named,
        )


def _together(before: NodeResult | None, now: NodeResult) -> NodeResult:
    return now if before is None else now.model_copy(update={"steps": [*before.steps, *now.steps]})


def _reached(chosen: Chosen, node: NodeResult) -> list[str]:
    if node.error or node.left:
        return []
    bad = {step.instance for step in node.steps if step.outcome not in {"done", "planned"}}
    return [f"{node.name}/{one.name}" for one in chosen.instances if one.name not in bad]


async def _on_node(work: _Work, chosen: Chosen) -> NodeResult:
    """Some instances of one node, with its lock held."""
    node = chosen.node
    overrides = Overrides.now(work.state)
    disabled = next((one for one in overrides.of_node(node.name) if one.kind == "disabled"), None)
    if disabled is not None:
        return NodeResult(name=node.name, left=disabled.words)
    names = {instance.name for instance in chosen.instances}
    wanted = [one for one in desired(work.site, node, overrides) if one.declared.name in names]
    async with Engine(endpoint(node, work.settings)) as engine:
        seen = await engine.observe(labels_of(work.site, node))
        there = {container.name: container for container in seen.containers}
        instances = [
            _Instance(work, node, engine, overrides=overrides, before=one, container=there.get(one.spec.name))
            for one in wanted
        ]
        found = await all_ended(one.change() for one in instances)
        steps = [step for ones in found for step in ones]
        if not work.call.dry_run and all(step.outcome == "done" for step in steps):
            await _tidy(work, node, engine, {container.digest for container in seen.containers})
        return NodeResult(name=node.name, steps=steps)


class _Instance:
    """One instance on its way to what it should be."""

    def __init__(
        self,
        work: _Work,
        node: Node,
        engine: Engine,
        *,
        overrides: Overrides,
        before: Desired,
        container: Container | None,
    ) -> None:
        self._work = work
        self._node = node
        self._engine = engine
        self._overrides = overrides
        self._before = before
        self._name = before.declared.name
        self._container = container

    async def change(self) -> list[StepResult]:
        """Do it; what it was not done for is in the result."""
        asked = Step("recreate", self._name, "it was asked for")
        try:
            if self._before.held:
                raise Held(self._before.held)
            change = self._work.change_of(self._node, self._before)
            return await self._do(change)
        except Held as error:
            return [result(asked, "refused" if error.refused else "held", str(error))]
        except Refused as error:
            return [result(asked, "refused", str(error))]
        except EngineError as error:
            return [result(asked, "failed", f"{error.tried}: {error.reason}. {error.remedy}")]

    async def _do(self, change: Change) -> list[StepResult]:
        work, node = self._work, self._node
        after = self._after(change)
        stopped = {self._name: after.stopped} if after.stopped else {}
        steps = plan([after.spec], [self._container] if self._container else [], stopped=stopped)
        # Before anything is noted: what is refused, or can't be pulled, leaves no trace.
        for step in steps:
            if step.interrupts:
                await work.guard.check(self._before.instance)
        if work.call.dry_run:
            return [result(step, "planned") for step in steps]
        for step in steps:
            if step.kind in {"create", "recreate"}:
                login = registry_login(work.site, work.settings)
                await self._engine.ensure_image(after.spec.reference, after.spec.digest, login)
        self._note_what_runs()
        # All or nothing: rolled back, and what was rolled back from still standing, `--further` would go forward to it.
        with work.state.writing() as connection:
            put_within(connection, change.put)
            remove_within(connection, change.taken)
            if change.back is not None:
                withdraw_since(connection, node.name, change.back)
        doing = Steps(
            work.site,
            node,
            work.settings,
            guard=work.guard,
            call=work.call,
            instances=by_name([self._before]),
            on_refused=lambda _: self._take_back(change),
        )
        done = await doing.do(self._engine, steps)
        return done if steps or after.stopped else await self._wait(after.spec)

    def _take_back(self, change: Change) -> None:
        """A plan took it meanwhile: it stays as it was, and so does what is desired of it."""
        with self._work.state.writing() as connection:
            remove_within(connection, change.put)
            put_within(connection, [one for one in self._before.overrides if one.kind in _VERSIONS])

    def _after(self, change: Change) -> Desired:
        overrides = self._overrides.changed(put=change.put, taken=change.taken, specs=change.specs)
        return next(one for one in desired(self._work.site, self._node, overrides) if one.declared.name == self._name)

    def _note_what_runs(self) -> None:
        """What was applied before anybody noted such things can be brought back, too."""
        spec, there = self._before.spec, self._container
        if (
            there is not None
            and there.running
            and there.health in _WELL
            and there.labels.get(SPEC_LABEL) == spec.sha256
        ):
            self._note(spec)

    def _note(self, spec: ContainerSpec) -> None:
        call = self._work.call
        note(self._work.state, self._node.name, self._name, spec, who=call.who, verb=call.verb)
        hold(self._work.state, self._work.site, self._node.name, self._name, spec)

    async def _wait(self, spec: ContainerSpec) -> list[StepResult]:
        """It is what it should be; the next one still waits until it is well, too."""
        labels = labels_of(self._work.site, self._node)
        within = self._work.call.healthy_within
        trouble = await settled(self._engine, self._name, labels, within=within, anew=False)
        if trouble:
            return [result(Step("wait", self._name, "it is what it should be"), "failed", trouble)]
        self._note(spec)
        return []


async def _tidy(work: _Work, node: Node, engine: Engine, used: set[str]) -> None:
    """Specs that no rollback will ask for are forgotten, and their images removed where nothing else needs them."""
    noted = on_node(work.state, node.name)
    over = surplus(noted)
    if not over:
        return
    gone = {one.id for one in over}
    needed = used | {one.spec.digest for one in noted if one.id not in gone}
    needed |= {one.spec.digest for one in desired(work.site, node, Overrides.now(work.state))}
    needed |= {image.digest for image in work.site.images.values() if image.digest}
    unneeded = {one.spec.digest: one.spec.reference for one in over if one.spec.digest not in needed}
    for digest, reference in unneeded.items():
        try:
            await engine.remove_image(reference, digest)
        except EngineError as error:
            # It is in use by something that is not this fleet's.
            work.call.tell(f"{node.name}: image {reference} stays: {error.reason}")
    forget(work.state, over)


def only(selection: Selection, wanted: Callable[[str], bool]) -> Selection:
    """Those instances of the selection whose image is wanted."""
    chosen: Sequence[Chosen] = [
        replace(one, instances=tuple(each for each in one.instances if wanted(each.image)), whole=False)
        for one in selection
    ]
    return Selection(tuple(one for one in chosen if one.instances), named=selection.named)
