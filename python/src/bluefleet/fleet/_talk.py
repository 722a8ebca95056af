"""`talk`: one command to many actors at once, replies as they come, and exactly one result for each instance."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from bluefleet.fleet._actor_link import ActorLink, Patience
from bluefleet.fleet._actor_wire import (
    ENDS,
    ActorError,
    ActorLost,
    ActorTimeout,
    ActorUnreachable,
    Reply,
    check_command,
)
from bluefleet.fleet._call import Call, Record, recorded_beside
from bluefleet.fleet._overrides import Overrides
from bluefleet.fleet._selection import Selection
from bluefleet.fleet._settings import Settings
from bluefleet.model import Site

SCHEMA_VERSION = 1

TalkOutcome: TypeAlias = Literal["planned", "done", "failed", "unreachable", "lost", "timeout"]
_OUTCOME_OF: dict[type[ActorError], TalkOutcome] = {
    ActorUnreachable: "unreachable",
    ActorLost: "lost",
    ActorTimeout: "timeout",
}
# Commands of every actor that change nothing.
_ASK = frozenset({"help", "ping", "status", "version"})


class NoActor(Exception):
    """None of the chosen instances, or not each that was named, declares an actor."""


@dataclass(frozen=True, slots=True)
class Target:
    """An instance that declares an actor, and where that answers."""

    node: str
    instance: str
    address: str
    port: int

    @property
    def label(self) -> str:
        """Its name in replies: instances are unique on their node only."""
        return f"{self.node}/{self.instance}"


TalkHeard: TypeAlias = Callable[[Target, Reply], None]


class TalkResult(BaseModel):
    """How the command ended at one instance."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    node: str
    instance: str
    outcome: TalkOutcome = Field(
        description="done and failed are the actor's own word; unreachable: the command was not sent; "
        "lost and timeout: it was, and nobody knows its end; planned: on a dry run"
    )
    error: str = Field(default="", description="What went wrong, in words; empty when it is done")
    remedy: str = Field(default="", description="What to do next")
    seconds: float = Field(default=0.0, description="Until the result")
    keywords: dict[str, Any] = Field(default_factory=dict[str, Any], description="What the reply that ended it says")

    @property
    def ok(self) -> bool:
        """Whether the actor said that it is done."""
        return self.outcome == "done"


class TalkReport(BaseModel):
    """What came of one command, worst first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = SCHEMA_VERSION
    site: str
    command: str
    dry_run: bool = False
    ok: bool = Field(description="Whether it is done at every instance; on a dry run, whether it could be said")
    results: list[TalkResult]


class ActorLinks:
    """Links to actors that last from `async with` to its end; a link is made when its actor is first spoken to."""

    def __init__(
        self, *, patience: Patience | None = None, broadcast: Callable[[Target, Reply], None] | None = None
    ) -> None:
        self._patience = patience
        self._broadcast = broadcast
        self._links: dict[Target, ActorLink] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.keep([])

    @property
    def targets(self) -> list[Target]:
        """To whom there are links."""
        return list(self._links)

    async def to(self, target: Target) -> ActorLink:
        """The link to that actor."""
        if target not in self._links:
            tell = self._broadcast
            link = ActorLink(
                target.address,
                target.port,
                patience=self._patience,
                broadcast=None if tell is None else lambda reply: tell(target, reply),
            )
            self._links[target] = link
            await link.__aenter__()
        return self._links[target]

    async def keep(self, targets: Iterable[Target]) -> None:
        """Close the links to all others: who moved is dialled no more where it was."""
        wanted = set(targets)
        over = [self._links.pop(target) for target in list(self._links) if target not in wanted]
        await asyncio.gather(*(link.__aexit__(None, None, None) for link in over))


def only_asks(command: str) -> bool:
    """Whether this command to an actor changes nothing: it needs no choice of who is meant, and no place in history."""
    return (command.split() or [""])[0] in _ASK


def actor_targets(site: Site, selection: Selection, overrides: Overrides | None = None) -> list[Target]:
    """The actors among what was chosen; an instance that was named must be one. Raises NoActor.

    What is disabled is left out, unless it was named.
    """
    now = overrides or Overrides()
    targets = [
        Target(chosen.node.name, instance.name, chosen.node.address, instance.actor.port)
        for chosen in selection
        for instance in chosen.instances
        if instance.actor is not None
        and ((selection.named and not chosen.whole) or not now.first(chosen.node.name, instance.name, "disabled"))
    ]
    mute = [
        f"{chosen.node.name}/{instance.name}"
        for chosen in selection
        for instance in chosen.instances
        if selection.named and not chosen.whole and instance.actor is None
    ]
    if mute or not targets:
        with_actor = [f"{node.name}/{i.name}" for node in site.nodes for i in node.instances if i.actor is not None]
        raise NoActor(
            f"{' and '.join(mute) or 'nothing that was chosen'} declares no actor that is in use. "
            f"These do: {', '.join(with_actor) or 'none'}"
        )
    return targets


def planned_talk(site: Site, command: str, targets: Sequence[Target]) -> TalkReport:
    """Who would be told this command; nobody is. Raises CommandInvalid."""
    words = check_command(command)
    results = [TalkResult(node=one.node, instance=one.instance, outcome="planned") for one in targets]
    return TalkReport(site=site.site, command=words, dry_run=True, ok=True, results=results)


async def talk(
    site: Site,
    command: str,
    targets: Sequence[Target],
    *,
    deadline: float,
    heard: TalkHeard | None = None,
    links: ActorLinks | None = None,
    noted: tuple[Settings, Call] | None = None,
) -> TalkReport:
    """Send a command to all targets at once; it ends once for each, within `deadline` seconds.

    `heard` is called with every reply before the last, as it comes. Without `links` each is dialled for this command only.
    With `noted` it stands in history.
    All start together and none waits for another: a bound would make exposures start one after the other.
    Raises CommandInvalid, StateUnusable.
    """
    words = check_command(command)
    async with AsyncExitStack() as stack:
        record = Record()
        if noted is not None:
            labels = [target.label for target in targets]
            record = await stack.enter_async_context(recorded_beside(*noted, labels, command=words))
        using = links or await stack.enter_async_context(ActorLinks())
        found = await asyncio.gather(*(_ask(using, target, words, deadline, heard) for target in targets))
        results = sorted(found, key=lambda result: (result.ok, result.node, result.instance))
        record.ok = all(result.ok for result in results)
        record.detail += [f"{one.node}/{one.instance}: {one.outcome}: {one.error}" for one in results if not one.ok]
    return TalkReport(
        site=site.site, command=words, ok=bool(results) and all(result.ok for result in results), results=results
    )


async def _ask(links: ActorLinks, target: Target, words: str, deadline: float, heard: TalkHeard | None) -> TalkResult:
    clock = asyncio.get_running_loop().time
    begun = clock()
    outcome: TalkOutcome = "done"
    error, remedy, keywords = "", "", dict[str, Any]()
    try:
        link = await links.to(target)
        tell = heard or _ignore
        end = await link.ask(words, deadline=deadline, heard=lambda reply: tell(target, reply))
        keywords = end.keywords
        if ENDS[end.code] == "failed":
            outcome, error = "failed", end.error or "it failed, and does not say why"
            remedy = f"'bluefleet talk help' says what {target.label} takes"
    except ActorError as problem:
        outcome, error, remedy = _OUTCOME_OF[type(problem)], f"{problem.tried}: {problem.reason}", problem.remedy
    return TalkResult(
        node=target.node,
        instance=target.instance,
        outcome=outcome,
        error=error,
        remedy=remedy,
        seconds=round(clock() - begun, 3),
        keywords=keywords,
    )


def _ignore(target: Target, reply: Reply) -> None:
    del target, reply
