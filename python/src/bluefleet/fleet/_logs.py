"""What instances wrote: their containers now, and those that were taken away."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from bluefleet.engine import READ_LOGS, Container, Engine, EngineError, EngineTimeout, LogLine
from bluefleet.fleet._kept_logs import kept, lines
from bluefleet.fleet._render import container_name, endpoint, selection
from bluefleet.fleet._selection import Selection
from bluefleet.fleet._settings import Settings
from bluefleet.model import Instance, Node, Site

# Seconds until an instance that is gone, or an engine that does not answer, is looked for again.
_LOOK_AGAIN = 1.0
_AHEAD = 1000

Trouble = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class InstanceLine:
    """A line that an instance wrote."""

    node: str
    instance: str
    line: LogLine


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: those after `since`, the last `tail` of each container; with `previous` also of containers before."""

    since: datetime | None = None
    tail: int | None = None
    previous: bool = False
    follow: bool = False

    @property
    def first(self) -> str:
        """The time before which nothing is shown, as engines write it."""
        return self.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z") if self.since else ""


async def logs(
    site: Site, settings: Settings, chosen: Selection, wanted: Wanted, trouble: Trouble
) -> AsyncGenerator[InstanceLine, None]:
    """The lines of the chosen instances; with `follow` as they are written, through restarts and recreations.

    An instance whose lines can't be read is told to `trouble` and stops no other.
    """
    readers = [_Reader(site, settings, node, instance, wanted, trouble) for node, instance in chosen.placed]
    queue: asyncio.Queue[InstanceLine | None] = asyncio.Queue(_AHEAD)

    async def read(reader: "_Reader") -> None:
        try:
            async for line in reader.lines():
                await queue.put(line)
        finally:
            await queue.put(None)

    tasks = [asyncio.create_task(read(reader)) for reader in readers]
    open_ = len(tasks)
    try:
        while open_:
            item = await queue.get()
            if item is None:
                open_ -= 1
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
    # What ended with an error of ours says so.
    await asyncio.gather(*tasks)


class _Reader:
    """The lines of one instance."""

    def __init__(  # noqa: PLR0917 (made in one place, in this order)
        self, site: Site, settings: Settings, node: Node, instance: Instance, wanted: Wanted, trouble: Trouble
    ) -> None:
        self._labels = {**selection(site, node), "instance": instance.name}
        self._settings = settings
        self._node = node
        self._instance = instance
        self._wanted = wanted
        self._trouble = trouble
        self._last = wanted.first
        self._tail = wanted.tail

    async def lines(self) -> AsyncIterator[InstanceLine]:
        if self._wanted.previous:
            async with aclosing(self._kept()) as before:
                async for line in before:
                    yield self._labelled(line)
        while True:
            try:
                async for line in self._now():
                    yield self._labelled(line)
            except EngineTimeout as error:
                # Silence is no trouble as long as the engine answers, which the next look will tell.
                if not self._wanted.follow or not error.tried.startswith(READ_LOGS):
                    self._tell(error)
            except EngineError as error:
                self._tell(error)
            if not self._wanted.follow:
                return
            await asyncio.sleep(_LOOK_AGAIN)

    async def _now(self) -> AsyncIterator[LogLine]:
        async with Engine(endpoint(self._node, self._settings)) as engine:
            seen = await engine.observe(self._labels)
            container = next((one for one in seen.containers if one.name == container_name(self._instance)), None)
            if container is None:
                if not self._wanted.follow and not self._wanted.previous:
                    self._trouble(
                        f"{self._node.name}/{self._instance.name}: it is not there; "
                        "`bluefleet logs --all` shows what it wrote before"
                    )
                return
            async with aclosing(self._of(engine, container)) as lines_:
                async for line in lines_:
                    yield line

    async def _of(self, engine: Engine, container: Container) -> AsyncGenerator[LogLine, None]:
        since = datetime.fromisoformat(self._last[:19] + "+00:00").timestamp() if self._last else 0.0
        async with aclosing(
            engine.logs(container.id, follow=self._wanted.follow and container.running, since=since, tail=self._tail)
        ) as found:
            # Within one container's log, stdout and stderr may be a little out of order.
            known = self._last
            async for line in found:
                if line.time > known:
                    self._last = max(self._last, line.time)
                    # The last lines were asked for once; from here on it is all that is new.
                    self._tail = None
                    yield line

    async def _kept(self) -> AsyncGenerator[LogLine, None]:
        """Of what is kept, file by file; with `tail` no more than that is held at a time. Threads do the unpacking."""
        folder = self._settings.logs_folder / self._node.name / self._instance.name
        last: deque[LogLine] = deque(maxlen=self._tail or None)
        for file in await asyncio.to_thread(kept, folder):
            pages = self._pages(file)
            while page := await asyncio.to_thread(next, pages, None):
                if self._tail:
                    last.extend(page)
                    continue
                for line in page:
                    yield line
        for line in last:
            yield line

    def _pages(self, file: Path) -> Generator[list[LogLine], None, None]:
        """The wanted lines of a kept file, some at a time."""
        wanted = (line for line in lines(file) if line.time > self._last)
        try:
            while page := list(islice(wanted, _AHEAD)):
                yield page
        except (OSError, EOFError) as error:
            self._trouble(f"{file}: {error}")

    def _tell(self, error: EngineError) -> None:
        self._trouble(f"{self._node.name}/{self._instance.name}: {error.tried}: {error.reason}. {error.remedy}")

    def _labelled(self, line: LogLine) -> InstanceLine:
        return InstanceLine(self._node.name, self._instance.name, line)
