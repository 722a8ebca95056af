"""How many nodes are asked at once.

Each node's deadline runs while this process talks TLS to others: of a hundred that are asked in the same moment, the
last would have no answer in time that are well. So only a few are asked in the same moment, and the next as soon as one
of those has answered or turns out to take its time.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Coroutine, Iterable
from contextlib import asynccontextmanager, nullcontext
from typing import Any, TypeVar

# More at once would only wait for each other: TLS costs processor time on this side.
_AT_ONCE = 128
_IN_THE_SAME_MOMENT = 16
# Seconds. An engine that is well answers sooner, over a slow line too.
_MOMENT = 0.2

_T = TypeVar("_T")


class Pace:
    """Turns of those who ask in the same moment."""

    def __init__(self) -> None:
        # First come, first served: who comes for a second turn waits until all others have had their first.
        self._moment = asyncio.Semaphore(_IN_THE_SAME_MOMENT)

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None, None]:
        """Wait for a turn. Who takes longer than a moment goes on all the same, and the next begins."""
        over = False

        def next_one() -> None:
            nonlocal over
            if not over:
                over = True
                self._moment.release()

        await self._moment.acquire()
        moment = asyncio.get_running_loop().call_later(_MOMENT, next_one)
        try:
            yield
        finally:
            moment.cancel()
            next_one()


async def at_pace(works: Iterable[Coroutine[Any, Any, _T]], pace: Pace | None = None) -> list[_T]:
    """Do all the work, each on one node, and return what came of it, in order. Works with a `pace` take turns of theirs."""
    room = asyncio.Semaphore(_AT_ONCE)
    turns = Pace()

    async def one(work: Coroutine[Any, Any, _T]) -> _T:
        async with room, nullcontext() if pace else turns.turn():
            return await work

    waiting = list(works)
    try:
        return await asyncio.gather(*(one(work) for work in waiting))
    finally:
        # What was interrupted before its turn was never begun.
        for work in waiting:
            if inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
                work.close()


async def all_ended(works: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Do all the work at once; when some raises, the rest is not left to go on unwatched: it ends first."""
    found = await asyncio.gather(*works, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return [one for one in found if not isinstance(one, BaseException)]
