"""Servers on the loopback that are no good actors, each in one way, and a proxy that can go silent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def reply(number: int | None, code: str, **keywords: object) -> bytes:
    header = {"command_id": number, "commander_id": "x", "message_code": code, "internal": False, "sender": "bad"}
    return json.dumps({"header": header, "data": keywords}).encode() + b"\n"


async def command(reader: asyncio.StreamReader) -> tuple[int, str]:
    """The next command; pings are commands too."""
    line = (await reader.readline()).decode()
    if not line:
        raise ConnectionResetError
    number, _, words = line.strip().partition(" ")
    return int(number), words


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    """A server that treats every connection with `serve`; gives its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in [*tasks]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def well(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An actor that does everything at once."""
    while True:
        number, words = await command(reader)
        writer.write(reply(number, ">") + reply(number, "i", heard=words) + reply(number, ":"))


async def never_ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Starts a command and goes on for ever; answers pings."""
    while True:
        number, words = await command(reader)
        writer.write(reply(number, ":" if words == "ping" else ">"))


async def dies_in_the_middle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    number, _ = await command(reader)
    writer.write(reply(number, ">") + reply(number, "i", step=1))
    await writer.drain()
    await asyncio.sleep(0.1)


async def speaks_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await asyncio.sleep(30)


async def ends_twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with both ends, with one for a command that nobody sent, and with broadcasts in between."""
    while True:
        number, _ = await command(reader)
        writer.write(reply(None, "i", state="busy") + reply(0, "f", error="not yours") + reply(number + 70, "f"))
        writer.write(reply(number, "f", error="the first end") + reply(number, ":", text="the second end"))


async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    while True:
        writer.write(b"x" * 2**20)
        await writer.drain()


class SilentProxy:
    """Passes everything on to an actor until it goes silent: connections stay open, and nothing comes any more."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.dialled = 0
        self.passed_on = 0

    def go_silent(self) -> None:
        """What is open goes silent for ever; a new connection works."""
        self._flowing = asyncio.Event()

    def let_new_ones_work(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialled += 1
        from_actor, to_actor = await asyncio.open_connection("127.0.0.1", self._port)
        self.passed_on += 1
        if not self._flowing.is_set():
            self.let_new_ones_work()
        mine = self._flowing

        async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                if self._flowing is not mine:
                    await asyncio.Event().wait()
                sink.write(data)
                await sink.drain()

        try:
            await asyncio.gather(pass_on(reader, to_actor), pass_on(from_actor, writer))
        finally:
            to_actor.transport.abort()
