"""One lasting link to one actor: a half-open one is noticed, what was going on over it ends, and it is dialled again."""

import asyncio
import itertools
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias

from bluefleet.fleet._actor_wire import (
    ActorError,
    ActorLost,
    ActorTimeout,
    ActorUnreachable,
    NoReply,
    Reply,
    command_line,
    parse_reply,
)

logger = logging.getLogger(__name__)

Heard: TypeAlias = Callable[[Reply], None]

# The longest reply line that is read; frames never travel this way.
_LONGEST_REPLY = 8 * 2**20
_ANSWERS = "See 'bluefleet status', and 'bluefleet logs' of the instance"
_MAYBE = "It may have been carried out: ask the instance for its status before sending it again"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a link waits for what, in seconds. A link is silent for at most `ping_after + ping_answer`: under 10 s."""

    dial: float = 3.0
    ping_after: float = 3.0
    ping_answer: float = 5.0
    redial_first: float = 0.5
    redial_most: float = 5.0


class ActorLink:
    """Links to the actor at `address`:`port`, from `async with` to its end.

    `broadcast` hears replies that belong to no command. A command is never sent twice: what was going on when the link
    was lost ends with ActorLost.
    """

    def __init__(
        self, address: str, port: int, *, patience: Patience | None = None, broadcast: Heard | None = None
    ) -> None:
        self.where = f"{f'[{address}]' if ':' in address else address}:{port}"
        self._address = address
        self._port = port
        self._patience = patience or Patience()
        self._broadcast = broadcast or _ignore
        self._numbers = itertools.count(1)
        self._dialling: asyncio.Task[_Connection] | None = None
        self._connection: _Connection | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether it is up, as far as is known: a dead one is noticed within 10 s."""
        return self._connection is not None and self._connection.alive

    async def __aenter__(self) -> Self:
        self._keeping = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks: list[asyncio.Task[Any]] = [task for task in (self._keeping, self._dialling) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close("this side closed the link")

    async def ask(self, command: str, *, deadline: float, heard: Heard | None = None) -> Reply:
        """Send a command and return the reply that ends it; `heard` is called with every reply before that.

        Raises ActorUnreachable, ActorLost or ActorTimeout (`deadline` is for all of it, dialling included).
        """
        tried = f"'{command}' to the actor at {self.where}"
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(deadline):
                connection = await self._up()
                return await connection.ask(next(self._numbers), command, heard or _ignore, tried)
        except TimeoutError:
            if connection is None:
                raise ActorUnreachable(tried, f"no connection within {deadline:g} s", _ANSWERS) from None
            raise ActorTimeout(tried, f"it did not end within {deadline:g} s", f"Give it longer. {_MAYBE}") from None
        except ActorUnreachable as error:
            raise ActorUnreachable(tried, error.reason, error.remedy) from None

    async def _up(self) -> "_Connection":
        """The connection there is, or a new one; who comes while it is dialled waits for the same one."""
        if self._connection is not None and self._connection.alive:
            return self._connection
        if self._dialling is None or self._dialling.done():
            self._dialling = asyncio.create_task(self._dial())
            # Told to whoever still waits for it.
            self._dialling.add_done_callback(lambda task: task.cancelled() or task.exception())
        dialling = self._dialling
        await asyncio.wait([dialling])
        if dialling.cancelled():
            raise ActorUnreachable(f"a link to the actor at {self.where}", "this side closed the link", _ANSWERS)
        return dialling.result()

    async def _dial(self) -> "_Connection":
        tried = f"a link to the actor at {self.where}"
        try:
            async with asyncio.timeout(self._patience.dial):
                reader, writer = await asyncio.open_connection(self._address, self._port, limit=_LONGEST_REPLY)
        except TimeoutError:
            reason = f"no connection within {self._patience.dial:g} s"
            raise ActorUnreachable(tried, reason, _ANSWERS) from None
        except OSError as error:
            raise ActorUnreachable(tried, _in_words(error), _ANSWERS) from None
        self._connection = _Connection(reader, writer, self._patience, self._numbers, self._broadcast)
        return self._connection

    async def _keep(self) -> None:
        """Dial, wait for the end of the link, and dial again, with longer and longer pauses while nothing answers."""
        pause = self._patience.redial_first
        while True:
            try:
                connection = await self._up()
            except ActorError as error:
                logger.info("%s", error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, self._patience.redial_most)
                continue
            begun = asyncio.get_running_loop().time()
            reason = await connection.ended()
            logger.warning("the link to the actor at %s ended: %s", self.where, reason)
            # One that ends as soon as it is up is as good as none.
            if asyncio.get_running_loop().time() - begun > self._patience.redial_most:
                pause = self._patience.redial_first
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._patience.redial_most)


class _Connection:
    """One TCP connection, until it ends for whatever reason."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        patience: Patience,
        numbers: "itertools.count[int]",
        broadcast: Heard,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._patience = patience
        self._numbers = numbers
        self._broadcast = broadcast
        self._waiting: dict[int, asyncio.Queue[Reply | None]] = {}
        self._reason = ""
        self._reading = asyncio.create_task(self._read_to_the_end())

    @property
    def alive(self) -> bool:
        return not self._reading.done()

    async def ended(self) -> str:
        """Wait for the end, and say why."""
        await asyncio.wait([self._reading])
        return self._reason

    async def close(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._reading.cancel()
        await asyncio.wait([self._reading])

    async def ask(self, number: int, command: str, heard: Heard, tried: str) -> Reply:
        replies: asyncio.Queue[Reply | None] = asyncio.Queue()
        self._waiting[number] = replies
        try:
            self._writer.write(command_line(number, command))
            while (reply := await replies.get() if self.alive or not replies.empty() else None) is not None:
                if reply.ends:
                    return reply
                heard(reply)
            raise ActorLost(tried, self._reason, _MAYBE)
        finally:
            del self._waiting[number]

    async def _read_to_the_end(self) -> None:
        try:
            self._reason = await self._read()
        except NoReply as error:
            self._reason = str(error)
        except (OSError, ValueError) as error:
            self._reason = f"the connection broke: {error}"
        finally:
            # Without a goodbye: one that is half-open would be waited for.
            self._writer.transport.abort()
            for replies in self._waiting.values():
                replies.put_nowait(None)

    async def _read(self) -> str:
        patience, pinged = self._patience, False
        while True:
            try:
                async with asyncio.timeout(patience.ping_answer if pinged else patience.ping_after):
                    line = await self._reader.readline()
            except TimeoutError:
                if pinged:
                    return f"nothing came for {patience.ping_after + patience.ping_answer:g} s, not even for a ping"
                # Whatever comes back is a sign of life, a refusal too.
                self._writer.write(command_line(next(self._numbers), "ping"))
                pinged = True
                continue
            if not line.endswith(b"\n"):
                return "it closed the connection"
            pinged = False
            if line.strip():
                self._deliver(parse_reply(line))

    def _deliver(self, reply: Reply) -> None:
        if not reply.command_id:
            with suppress(Exception):  # who listens beside must not end what others wait for
                self._broadcast(reply)
        elif reply.command_id in self._waiting:
            self._waiting[reply.command_id].put_nowait(reply)


def _in_words(error: OSError) -> str:
    # asyncio replaces the kernel's words ("Connection refused") by its own; a name's resolver has no error numbers.
    if isinstance(error, socket.gaierror) or error.errno is None:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _ignore(reply: Reply) -> None:
    del reply
