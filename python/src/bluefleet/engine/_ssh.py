"""Engines behind ssh: a socket of which the other end is an ssh process, so that deadlines hold as over TCP.

docker-py's own reads from pipes, where nothing ends a wait: each question that hung left a thread and a process.
"""

import math
import os
import signal
import socket
import subprocess
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.response import HTTPResponse

from bluefleet.engine._ssh_words import SshEnded, SshMissing

# Seconds between two signs of life that ssh asks for; after the third that is missing it ends.
_SIGN_OF_LIFE = 5
# Seconds that ssh has to end by itself when it is told to.
_LEAVE = 0.2
# Bytes of what ssh says that are of interest.
_WORDS = 4096
_DIAL = "docker system dial-stdio"


class SshAdapter(HTTPAdapter):
    """Takes requests to the engine of `url` (`ssh://…`) through ssh processes, which end with their connections."""

    def __init__(self, url: str, connect: float) -> None:
        self._pool = _Pool(_command(url, connect))
        super().__init__()

    def get_connection_with_tls_context(self, *_request: Any, **_options: Any) -> Any:
        """There is one place to go."""
        return self._pool

    def cut(self) -> None:
        """End all ssh processes now: whoever waits for one is told that the connection is gone."""
        for link in list(self._pool.links):
            link.end()

    def close(self) -> None:
        """End all of it, a stream that nobody has read to its end, too."""
        super().close()
        self._pool.close()
        self.cut()


def _command(url: str, connect: float) -> list[str]:
    place = urlsplit(url)
    return [
        "ssh",
        "-T",
        # Nobody is there to be asked.
        *("-o", "BatchMode=yes"),
        *("-o", f"ConnectTimeout={max(1, math.ceil(connect))}"),
        *("-o", f"ServerAliveInterval={_SIGN_OF_LIFE}"),
        *(("-l", place.username) if place.username else ()),
        *(("-p", str(place.port)) if place.port else ()),
        "--",
        place.hostname or "",
        _DIAL,
    ]


class _Link(socket.socket):
    """Our end. The process ends when the last who reads or writes here has closed it, as a TCP connection does."""

    process: subprocess.Popen[bytes] | None = None
    # What it says to people, in memory: a pipe that nobody reads would stop it.
    _said: BinaryIO | None = None
    words = ""

    @classmethod
    def of(cls, command: Sequence[str]) -> "_Link":
        ours, its = socket.socketpair()
        link = cls(fileno=ours.detach())
        with its:
            try:
                link._said = os.fdopen(os.memfd_create("ssh"), "rb")
                # A session of its own: Ctrl-C is for this program, which ends what it began.
                link.process = subprocess.Popen(
                    command, stdin=its.fileno(), stdout=its.fileno(), stderr=link._said, start_new_session=True
                )
            except OSError as error:
                link.close()
                if isinstance(error, FileNotFoundError):
                    raise SshMissing from error
                raise
        return link

    def _real_close(self, *more: Any) -> None:
        # What `close` calls when nobody reads or writes any more; a socket over TLS is closed here as well.
        cast("Any", super())._real_close(*more)
        self.end()

    def end(self) -> None:
        """End the process, and what it started; `words` is what it said."""
        for word in (signal.SIGTERM, signal.SIGKILL):
            if self.process is None or self.process.poll() is not None:
                break
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, word)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_LEAVE)
        said, self._said = self._said, None
        if said is not None:
            with said:
                self.words = os.pread(said.fileno(), _WORDS, 0).decode(errors="replace")


class _Connection(HTTPConnection):
    pool: "_Pool"

    def connect(self) -> None:
        self.sock = self.pool.dial()
        self.sock.settimeout(self.timeout)

    def getresponse(self) -> HTTPResponse:  # pyright: ignore[reportIncompatibleMethodOverride]
        link = cast("_Link", self.sock)
        try:
            return super().getresponse()
        except ConnectionError as error:
            # Its words are whole when it has ended.
            link.end()
            raise SshEnded(link.words) from error


class _Pool(HTTPConnectionPool):
    ConnectionCls = cast("Any", _Connection)

    def __init__(self, command: Sequence[str]) -> None:
        super().__init__("localhost", maxsize=4)
        self.links: weakref.WeakSet[_Link] = weakref.WeakSet()
        self._command = command
        self._dialling = threading.Lock()

    def _new_conn(self) -> Any:
        made: Any = super()._new_conn()
        made.pool = self
        return made

    def dial(self) -> _Link:
        link = _Link.of(self._command)
        with self._dialling:
            self.links.add(link)
        return link
