"""One real engine at many loopback addresses: over mutual TLS, the same a little later, in plain; and ones that hang.

All of it is a process of its own: what answers must not wait for what is measured, and has its own interpreter.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import resource
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

SOCKET = "/var/run/docker.sock"
_CHUNK = 65536

Place: TypeAlias = tuple[str, int]
_Link: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Places:
    """Address and port of each: engines over TLS, each of those later, engines without TLS, and those that hang."""

    engines: list[Place] = field(default_factory=list)
    later: list[Place] = field(default_factory=list)
    plain: list[Place] = field(default_factory=list)
    silent: list[Place] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """How many of each, how much later, and the engines' certificate: a path without .crt and .key."""

    engines: list[str]
    silent: list[str]
    delay_s: float
    certificate: Path
    authority: Path


@contextlib.contextmanager
def many_engines(asked: Asked) -> Iterator[Places]:
    """Open them; they are gone at the end, or with this process."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(theirs, asked), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _serve(told: Connection, asked: Asked) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(_open(told, asked))


async def _open(told: Connection, asked: Asked) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(asked.authority))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(asked.certificate.with_suffix(".crt"), asked.certificate.with_suffix(".key"))
    places = Places()
    servers: list[asyncio.Server] = []
    hanging: list[_Link] = []
    # Kept: a task that nobody knows any more may be thrown away.
    serving: set[asyncio.Task[None]] = set()

    async def at(
        address: str, far: Callable[[], Awaitable[_Link]], delay: float = 0, tls: ssl.SSLContext | None = None
    ) -> Place:
        async def join(near: _Link) -> None:
            with contextlib.suppress(OSError):
                await _join(near, await far(), delay)

        def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(join((reader, writer)))
            serving.add(task)
            task.add_done_callback(serving.discard)

        server = await asyncio.start_server(serve, address, 0, ssl=tls, backlog=1024)
        servers.append(server)
        name = server.sockets[0].getsockname()
        return name[0], name[1]

    async def engine() -> _Link:
        return await asyncio.open_unix_connection(SOCKET)

    for address in asked.engines:
        over_tls = await at(address, engine, tls=context)
        places.engines.append(over_tls)
        places.later.append(await at(address, lambda place=over_tls: asyncio.open_connection(*place), asked.delay_s))
        places.plain.append(await at(address, engine))
    for address in asked.silent:
        # Kept: a connection that nobody knows any more is closed, and that would be an answer.
        server = await asyncio.start_server(lambda *link: hanging.append(link), address, 0)
        servers.append(server)
        name = server.sockets[0].getsockname()
        places.silent.append((name[0], name[1]))
    told.send(places)
    await asyncio.get_running_loop().create_future()


async def _join(near: _Link, far: _Link, delay: float) -> None:
    """Pass on both ways, the answers later; as later as they came, so that a long answer comes no slower."""
    loop = asyncio.get_running_loop()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, later: float) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                loop.call_later(later, writer.write, data) if later else writer.write(data)
        loop.call_later(later, writer.close)

    await asyncio.gather(relay(near[0], far[1], 0), relay(far[0], near[1], delay))
