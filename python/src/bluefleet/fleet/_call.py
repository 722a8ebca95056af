"""One call of a verb that changes something: who asks, within which bounds, and the note of it in history."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from bluefleet.engine import EngineError
from bluefleet.fleet import _history as history
from bluefleet.fleet._lock import NodeBusy, node_lock
from bluefleet.fleet._pace import at_pace
from bluefleet.fleet._report import NodeResult, StepResult
from bluefleet.fleet._selection import Chosen, Selection
from bluefleet.fleet._settings import Settings
from bluefleet.fleet._state import State, StateUnusable

logger = logging.getLogger(__name__)

Progress = Callable[[str], None]


def _quiet(_line: str) -> None:
    """For programs, which read the report."""


@dataclass(frozen=True, slots=True)
class Call:
    """Who asks for what, and within which bounds; `wait` is for another operator, `deadline` for each node, in seconds."""

    verb: str
    who: str = field(default_factory=history.caller)
    wait: float = 10.0
    deadline: float = 1800.0
    dry_run: bool = False
    interrupt_runs: bool = False
    reason: str = ""
    # How long a started instance may take to be healthy before it counts as failed.
    healthy_within: float = 90.0
    progress: Progress = _quiet
    # Each step that is over, with its node: what is known of work that does not come to its end.
    over: list[tuple[str, StepResult]] = field(default_factory=list[tuple[str, StepResult]], compare=False)

    def tell(self, line: str) -> None:
        """Tell the progress; that nobody listens any more ends no work in the middle."""
        # ValueError: what it is written to is closed.
        with suppress(OSError, ValueError):
            self.progress(line)


@dataclass(slots=True)
class Record:
    """What will stand in history."""

    ok: bool = True
    detail: list[str] = field(default_factory=list[str])

    def node(self, node: NodeResult) -> None:
        """Note what happened on a node."""
        self.ok = self.ok and node.ok
        self.detail += [f"{node.name}: {words}" for words in (node.done, node.error) if words]
        self.steps(node.name, node.steps)

    def steps(self, node: str, steps: Iterable[StepResult]) -> None:
        """Note what happened to instances of a node."""
        for step in steps:
            words = f": {step.detail}" if step.detail else ""
            self.detail.append(f"{node}/{step.instance}: {step.action} {step.outcome}{words}")


@contextmanager
def recorded(settings: Settings, call: Call, targets: Sequence[str], **options: Any) -> Generator[Record, None, None]:
    """Note in history that it begins, and what came of it; a dry run leaves no trace. Raises StateUnusable."""
    record = Record()
    if call.dry_run:
        yield record
        return
    state = State(settings.state_file)
    said: Mapping[str, Any] = {"reason": call.reason, "interrupt_runs": call.interrupt_runs, **options}
    entry = history.begin(state, call.who, call.verb, targets, {key: value for key, value in said.items() if value})
    try:
        yield record
    except BaseException as error:
        result = "failed" if isinstance(error, Exception) else "interrupted"
        history.end(state, entry, result, [*record.detail, str(error) or type(error).__name__])
        raise
    history.end(state, entry, "ok" if record.ok else "failed", record.detail)


@asynccontextmanager
async def recorded_beside(
    settings: Settings, call: Call, targets: Sequence[str], **options: Any
) -> AsyncGenerator[Record, None]:
    """`recorded` in a loop that others share: only its caller waits for the state file. Raises StateUnusable."""
    note = recorded(settings, call, targets, **options)
    beginning = asyncio.create_task(asyncio.to_thread(note.__enter__))
    try:
        record = await asyncio.shield(beginning)
    except asyncio.CancelledError as error:
        # What has begun there must be ended.
        await asyncio.wait([beginning])
        if beginning.exception() is None:
            await asyncio.to_thread(note.__exit__, type(error), error, None)
        raise
    try:
        yield record
    except BaseException as error:
        await asyncio.to_thread(note.__exit__, type(error), error, None)
        raise
    await asyncio.to_thread(note.__exit__, None, None, None)


async def each_node(
    selection: Selection,
    settings: Settings,
    call: Call,
    work: Callable[[Chosen], Awaitable[NodeResult]],
    record: Record,
) -> list[NodeResult]:
    """Do it on all chosen nodes at once, on each with its lock held and within its deadline. None waits for another.

    Each is noted in `record` as it ends: what was done stands there also when the rest is interrupted.

    The deadline is for the work: the wait for another operator is not part of it.
    """

    before = len(call.over)

    def over_since(name: str) -> list[StepResult]:
        return [step for node, step in call.over[before:] if node == name]

    async def timed(chosen: Chosen) -> NodeResult:
        async with asyncio.timeout(call.deadline):
            return await work(chosen)

    async def locked(chosen: Chosen) -> NodeResult:
        if call.dry_run:
            return await timed(chosen)
        async with node_lock(settings.locks_folder, chosen.node.name, who=call.who, verb=call.verb, wait=call.wait):
            return await timed(chosen)

    async def one(chosen: Chosen) -> NodeResult:
        name = chosen.node.name
        try:
            return await locked(chosen)
        except NodeBusy as error:
            return NodeResult(name=name, error=str(error), remedy=error.remedy)
        except EngineError as error:
            return NodeResult(name=name, error=f"{error.tried}: {error.reason}", remedy=error.remedy)
        except TimeoutError:
            return NodeResult(
                name=name,
                error=f"not done within {call.deadline:g} s; something may be half done",
                remedy=f"`bluefleet apply {name}` finishes it",
                steps=over_since(name),
            )
        except StateUnusable:
            # Without the file of overrides nobody knows what is wanted, on any node.
            raise
        except Exception as error:
            logger.exception("%s on %s", call.verb, name)
            return NodeResult(
                name=name,
                error=f"unexpected {type(error).__name__}: {error}; something may be half done",
                remedy=f"This is a defect of bluefleet: report it. `bluefleet status {name}` shows how the node is",
                steps=over_since(name),
            )

    async def noted(chosen: Chosen) -> NodeResult:
        try:
            found = await one(chosen)
        except asyncio.CancelledError:
            record.steps(chosen.node.name, over_since(chosen.node.name))
            record.detail.append(f"{chosen.node.name}: interrupted; something may be half done")
            raise
        record.node(found)
        return found

    return await at_pace(noted(chosen) for chosen in selection)
