"""What commands of the actor are done with: the site as it is declared now, what of it is enabled, who asks."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from bluefleet.actor._settings import ActorSettings
from bluefleet.fleet import (
    ActorLinks,
    Call,
    Chosen,
    NoActor,
    Overrides,
    Selection,
    Settings,
    State,
    actor_targets,
    in_own_loop,
    select,
)
from bluefleet.model import Site
from bluefleet.site_file import load_site

_T = TypeVar("_T")


class CommandFailed(Exception):
    """A command that was understood and did not succeed, with the words that its client is told."""


@dataclass(frozen=True, slots=True)
class Enabled:
    """What a command is about, and in words what was left out because somebody took it out of use."""

    selection: Selection
    left: tuple[str, ...]


class Fleet:
    """The fleet as the actor reaches it. The site is read again when its file changed: site.yml may have run."""

    def __init__(self, settings: Settings, actor: ActorSettings, links: ActorLinks) -> None:
        self.settings = settings
        self.actor = actor
        self.links = links
        self._site: Site | None = None
        self._stamp = 0

    def site(self) -> Site:
        """As it is declared now. Raises SiteFileInvalid."""
        file = self.settings.site_file
        stamp = file.stat().st_mtime_ns if file.exists() else 0
        if self._site is None or stamp != self._stamp:
            self._site, self._stamp = load_site(file), stamp
        return self._site

    async def link(self) -> None:
        """Dial the actors of the site: what they tell everybody is passed on, and a link that ends is made again.

        Those that are not of the site any more, or not there, are left.
        """
        site = self.site()
        try:
            targets = actor_targets(site, select(site))
        except NoActor:
            targets = []
        await self.links.keep(targets)
        for target in targets:
            await self.links.to(target)

    def call(self, verb: str, command: Any, **bounds: Any) -> Call:
        """A call of a verb by whoever sent the command; what the actor does by itself is the actor's."""
        return Call(verb, who=getattr(command.transport, "who", "") or self.actor.name, **bounds)

    @staticmethod
    async def do(work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Do what asks engines and writes history: not in the loop in which other commands are answered."""
        return await in_own_loop(work, with_caller=True)

    @staticmethod
    def progress(tell: Callable[..., Any]) -> Callable[[str], None]:
        """Tell a client how work goes on, from where it is done; a loop that has ended hears nothing more."""
        loop = asyncio.get_running_loop()

        def line(text: str) -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(partial(tell, text=text))

        return line

    async def enabled_nodes(self) -> list[str]:
        """The nodes in use."""
        overrides = await self._overrides()
        return [
            node.name
            for node in self.site().nodes
            if not any(one.kind == "disabled" for one in overrides.of_node(node.name))
        ]

    async def _overrides(self) -> Overrides:
        # In a thread: whoever holds the state file makes no other command wait.
        return await asyncio.to_thread(Overrides.now, State(self.settings.state_file))

    async def enabled(self, names: str | None = None, category: str | None = None) -> Enabled:
        """What is named or of the category (lists with commas), and in use; without either all that is.

        Raises SelectionInvalid, StateUnusable, and CommandFailed when what was named is out of use.
        """
        overrides = await self._overrides()
        targets = _words(names)
        kept: list[Chosen] = []
        left: list[_Left] = []
        for one in _either(self.site(), targets, _words(category)):
            node = one.node.name
            whole = next((o for o in overrides.of_node(node) if o.kind == "disabled"), None)
            if whole is not None:
                left.append(_Left(node, "", whole.words))
                continue
            off = {i.name: o for i in one.instances if (o := overrides.first(node, i.name, "disabled")) is not None}
            left += [_Left(node, name, o.words) for name, o in off.items()]
            working = tuple(instance for instance in one.instances if instance.name not in off)
            if working or one.whole:
                kept.append(replace(one, instances=working))
        named = [str(one) for one in left if one.spellings & set(targets)]
        if named or ((targets or category) and not kept):
            raise CommandFailed(f"{'; '.join(named or map(str, left))}. `enable` puts it into use again")
        return Enabled(Selection(tuple(kept), named=bool(targets)), tuple(map(str, left)))


@dataclass(frozen=True, slots=True)
class _Left:
    """What is out of use."""

    node: str
    instance: str
    words: str

    def __str__(self) -> str:
        return f"{f'{self.node}/{self.instance}'.rstrip('/')} is {self.words}"

    @property
    def spellings(self) -> set[str]:
        """As who names it may write it."""
        if self.instance:
            return {self.instance, f"{self.node}/{self.instance}"}
        return {self.node, f"{self.node}/"}


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _either(site: Site, targets: Sequence[str], categories: Sequence[str]) -> Selection:
    """As older clients choose: what is named, and beside it what is of the category."""
    if not (targets and categories):
        return select(site, targets, categories)
    both = [*select(site, targets), *select(site, (), categories)]
    found: list[Chosen] = []
    for node in site.nodes:
        here = [one for one in both if one.node.name == node.name]
        names = {instance.name for one in here for instance in one.instances}
        if here:
            instances = tuple(one for one in node.instances if one.name in names)
            found.append(Chosen(node, instances, whole=any(one.whole for one in here)))
    return Selection(tuple(found), named=True)
