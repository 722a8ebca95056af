"""Work of the fleet beside a loop that others share: the state file, which somebody may hold, makes only it wait."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

_T = TypeVar("_T")

# Seconds that work has for its note in history when nobody waits for it any more.
_LAST_WORDS = 5.0


async def in_own_loop(work: Callable[[], Coroutine[Any, Any, _T]], *, with_caller: bool = False) -> _T:
    """Run it in a thread with an event loop of its own: what blocks there, blocks there.

    `with_caller`: who gives up waiting for it ends it. Else it is left to its end.
    When the process ends meanwhile the thread ends with it, and history has an entry that is unfinished.
    """
    answer: Future[_T] = Future()
    # From here on it can't be cancelled by itself.
    answer.set_running_or_notify_cancel()
    stop = _Stop()

    async def ours() -> _T:
        stop.begun()
        return await work()

    def run() -> None:
        try:
            result = asyncio.run(ours())
        except BaseException as error:  # noqa: BLE001 (carried to the caller, who sees it raised)
            answer.set_exception(error)
        else:
            answer.set_result(result)

    threading.Thread(target=run, daemon=True, name="fleet-work").start()
    try:
        return await asyncio.wrap_future(answer)
    except asyncio.CancelledError:
        if with_caller:
            stop.now()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS):
                    await asyncio.gather(asyncio.wrap_future(answer), return_exceptions=True)
        raise


class _Stop:
    """Ends the work from another thread, also before it has begun."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted = False
        self._place: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None] | None = None

    def begun(self) -> None:
        """Called where the work is. Raises CancelledError when nobody wants it any more."""
        with self._lock:
            if self._wanted:
                raise asyncio.CancelledError
            self._place = asyncio.get_running_loop(), asyncio.current_task()

    def now(self) -> None:
        """Cancel the work."""
        with self._lock:
            self._wanted = True
            loop, task = self._place or (None, None)
        if loop is not None and task is not None:
            # It may be over: then its loop is closed.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)
