"""The TCP server of the actor: asks who connects, and survives what clu's own server dies of."""

# pyright: basic
# (clu has no usable types)
from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from clu.protocol import TCPStreamServer

from bluefleet.actor._peers import StrangerRefused, name_of

logger = logging.getLogger(__name__)

# The longest command line; a longer one is refused, and ends its connection.
LONGEST_LINE = 64 * 1024
# What may wait for a client that does not read; then it is given up.
MOST_WAITING = 4 * 2**20
# Seconds that a client which is sent away has to read why.
_FAREWELL = 1.0


class Server(TCPStreamServer):
    """Calls `new_user` when a client comes and when it goes, and `new_command` with each of its lines.

    Its transports have an attribute `who`, the name of the client's user. `refusal` writes the words for one that is refused.
    """

    def __init__(
        self,
        host: str,
        port: int,
        group: str,
        *,
        new_user: Callable[[Any], Any],
        new_command: Callable[[Any, bytes], Any],
        refusal: Callable[[str], bytes],
    ) -> None:
        super().__init__(host, port, new_user, new_command)
        self._group = group
        self._new_user = new_user
        self._new_command = new_command
        self._refusal = refusal

    async def start(self) -> asyncio.AbstractServer:
        """Listen."""
        self._server = await asyncio.start_server(self.connection_made, self.host, self.port, limit=LONGEST_LINE)
        return self._server

    async def connection_made(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, from its first line to its end."""
        transport = writer.transport
        try:
            who = name_of(transport.get_extra_info("peername"), transport.get_extra_info("sockname"), self._group)
        except StrangerRefused as error:
            logger.warning("refused a connection: %s", error)
            await self._send_away(reader, writer, str(error))
            return
        transport.who = who  # type: ignore[attr-defined]  # clu keeps what it knows of a client there, too
        self.transports[transport] = writer
        self._new_user(transport)
        try:
            await self._read(reader, writer)
        finally:
            self.transports.pop(transport, None)
            writer.close()
            # A transport that is closing is how clu is told that a client went.
            self._new_user(transport)
            with suppress(OSError):
                await writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await reader.readuntil()
            except (asyncio.IncompleteReadError, OSError):
                return
            except asyncio.LimitOverrunError:
                await self._send_away(reader, writer, f"a command has at most {LONGEST_LINE} bytes")
                return
            self._new_command(writer.transport, line)

    async def _send_away(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, words: str) -> None:
        """Say why, and close. What was sent is read for a moment: the words would be lost to a client that is reset."""
        with suppress(OSError, TimeoutError):
            writer.write(self._refusal(words))
            writer.write_eof()
            async with asyncio.timeout(_FAREWELL):
                while await reader.read(LONGEST_LINE):
                    pass
        writer.close()

    def drop_the_deaf(self) -> None:
        """End the connections of clients that do not read what they are told."""
        for transport in list(self.transports):
            if transport.get_write_buffer_size() > MOST_WAITING:
                logger.warning("gave up a client of %s that does not read", getattr(transport, "who", "?"))
                transport.abort()

    def close_all(self) -> None:
        """Let every client go, once it has what was written for it."""
        for writer in list(self.transports.values()):
            writer.close()
