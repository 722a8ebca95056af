"""A command inside a running container with this program's own streams: what `bluefleet exec` is.

It blocks, in a thread that the engine starts. Over TLS one thread must do both reading and writing, so it is one loop.
"""

import os
import select
import socket
import ssl
import termios
import tty
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from bluefleet.engine._client import DockerApi

_CHUNK = 65536
# How often the size of the terminal is compared; nobody resizes a window faster.
_TICK = 0.5
_HEADER = 8


@dataclass(frozen=True, slots=True)
class Streams:
    """Where a session reads and writes. `stdin` is a file descriptor, or None; `tty` makes it a terminal there."""

    stdout: BinaryIO
    stderr: BinaryIO
    stdin: int | None = None
    tty: bool = False


def converse(client: "DockerApi", container: str, command: Sequence[str], streams: Streams) -> int:
    """Run the command until it ends; returns its exit code."""
    made = client.exec_create(container, command, stdin=streams.stdin is not None, tty=streams.tty, user="")["Id"]
    with client.exec_connect(made, tty=streams.tty) as (link, early):
        _keep_alive(link)
        with _raw_terminal(streams):
            _Loop(client, made, link, streams).run(early)
    return int(client.exec_inspect(made)["ExitCode"] or 0)


class _Loop:
    def __init__(self, client: "DockerApi", identity: str, link: Any, streams: Streams) -> None:
        self._client = client
        self._identity = identity
        self._link = link
        self._streams = streams
        self._pending = b""
        self._unsent = b""
        self._ending = False
        self._reads_first = False
        self._size = (0, 0)

    def run(self, early: bytes) -> None:
        self._show(early)
        stdin = self._streams.stdin
        while True:
            self._resize()
            # No more is taken than the other side does; meanwhile what it says is read, or it would wait for that.
            waiting = [self._link] if stdin is None or self._unsent else [self._link, stdin]
            full = [self._link] if (self._unsent or self._ending) and not self._reads_first else []
            ready, free, _ = select.select(waiting, full, [], _TICK)
            if self._link in ready:
                self._reads_first = False
                if not self._receive():
                    return
            if self._link in free:
                if self._ending:
                    self._end_of_input()
                else:
                    self._send()
            if stdin is not None and stdin in ready:
                self._unsent = os.read(stdin, _CHUNK)
                if self._unsent:
                    self._send()
                else:
                    self._end_of_input()
                    stdin = None

    def _receive(self) -> bool:
        """Take all that is there; what TLS has decoded already makes no socket ready."""
        while True:
            try:
                got = self._link.recv(_CHUNK)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                return True
            except (ConnectionError, ssl.SSLError):
                return False
            if not got:
                return False
            self._show(got)

    def _send(self) -> None:
        """Send as much as there is room for."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self._link.send(self._unsent) :]
        except ssl.SSLWantReadError:
            # TLS has something of its own to read; that there is room to write says nothing now.
            self._reads_first = True
        except (ssl.SSLWantWriteError, BlockingIOError):
            return
        except (ConnectionError, ssl.SSLError):
            # Nobody takes it any more; what was said before that is still read.
            self._unsent = b""

    def _end_of_input(self) -> None:
        """Tell the command that no more comes, and go on reading what it says to that."""
        # What has arrived is in the way of TLS's end.
        self._receive()
        self._ending = False
        with suppress(OSError, ValueError):
            if not isinstance(self._link, ssl.SSLSocket):
                self._link.shutdown(socket.SHUT_WR)
                return
            try:
                # It sends TLS's own end, and can't wait for the other's.
                self._link.unwrap()
            except ssl.SSLWantWriteError:
                self._ending = True

    def _show(self, got: bytes) -> None:
        if self._streams.tty:
            self._streams.stdout.write(got)
            self._streams.stdout.flush()
            return
        self._pending += got
        while len(self._pending) >= _HEADER:
            stream, length = self._pending[0], int.from_bytes(self._pending[4:_HEADER], "big")
            if len(self._pending) < _HEADER + length:
                return
            out = self._streams.stderr if stream == 2 else self._streams.stdout
            out.write(self._pending[_HEADER : _HEADER + length])
            out.flush()
            self._pending = self._pending[_HEADER + length :]

    def _resize(self) -> None:
        if not self._streams.tty or self._streams.stdin is None or not os.isatty(self._streams.stdin):
            return
        size = os.get_terminal_size(self._streams.stdin)
        if (size.lines, size.columns) != self._size:
            self._size = (size.lines, size.columns)
            self._client.exec_resize(self._identity, height=size.lines, width=size.columns)


@contextmanager
def _raw_terminal(streams: Streams) -> Generator[None, None, None]:
    """Every key goes there as it is, Ctrl-C too; the terminal is as before afterwards."""
    if not streams.tty or streams.stdin is None or not os.isatty(streams.stdin):
        yield
        return
    before = termios.tcgetattr(streams.stdin)
    tty.setraw(streams.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(streams.stdin, termios.TCSADRAIN, before)


def _keep_alive(link: Any) -> None:
    """A node that is switched off says nothing: the kernel asks after 10 s of silence, three times."""
    if link.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
        link.setsockopt(socket.IPPROTO_TCP, option, value)
