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
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from http.client import IncompleteRead
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from bluefleet.engine._ssh_words import SshEnded, SshMissing

# Seconds between two signs of life that ssh asks for; after the third that is missing it ends.
_SIGN_OF_LIFE = 5
# Seconds that ssh has to end by itself when it is told to.
_LEAVE = 0.2
# Bytes of what ssh says that are of interest.
_WORDS = 4096
_DIAL = "docker system dial-stdio"


class SshLinks:
    """Dials the engine of `url` (`ssh://…`); every link is an ssh process, which ends with it."""

    def __init__(self, url: str, connect: float) -> None:
        self._command = _command(url, connect)
        self._links: weakref.WeakSet[SshLink] = weakref.WeakSet()
        self._dialling = threading.Lock()

    def dial(self) -> "SshLink":
        """A new link."""
        link = SshLink.of(self._command)
        with self._dialling:
            self._links.add(link)
        return link

    def cut(self) -> None:
        """End all ssh processes now: whoever waits for one is told that the connection is gone."""
        with self._dialling:
            links = list(self._links)
        for link in links:
            link.end()


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


class SshLink(socket.socket):
    """Our end. The process ends when the last who reads or writes here has closed it, as a TCP connection does."""

    process: subprocess.Popen[bytes] | None = None
    # What it says to people, in memory: a pipe that nobody reads would stop it.
    _said: BinaryIO | None = None
    words = ""

    @classmethod
    def of(cls, command: Sequence[str]) -> "SshLink":
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


@contextmanager
def heard(link: SshLink) -> Generator[None, None, None]:
    """While an answer is waited for: that no more of it comes becomes what ssh said when it ended."""
    try:
        yield
    except (ConnectionError, IncompleteRead) as error:
        # Its words are whole when it has ended.
        link.end()
        raise SshEnded(link.words) from error
