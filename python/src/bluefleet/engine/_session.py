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
# How the engine begins to tell, in the command's place, that it could not start it.
_NOT_BEGUN = b"OCI runtime exec failed"
# How often the size of the terminal is compared; nobody resizes a window faster.
_TICK = 0.5
_HEADER = 8


class NotBegun(Exception):
    """The command was not started; says why in the engine's words."""


@dataclass(frozen=True, slots=True)
class Streams:
    """Where a session reads and writes. `stdin` is a file descriptor, or None; `tty` makes it a terminal there."""

    stdout: BinaryIO
    stderr: BinaryIO
    stdin: int | None = None
    tty: bool = False


def converse(client: "DockerApi", container: str, command: Sequence[str], streams: Streams) -> int:
    """Run the command until it ends; returns its exit code. Raises NotBegun when it could not be started."""
    made = client.exec_create(container, command, stdin=streams.stdin is not None, tty=streams.tty, user="")["Id"]
    with client.exec_connect(made, tty=streams.tty) as (link, early):
        _keep_alive(link)
        loop = _Loop(client, made, link, streams)
        with _raw_terminal(streams):
            loop.run(early)
    told = client.exec_inspect(made)
    if loop.held and not told["Pid"]:
        raise NotBegun(loop.held.decode(errors="replace").strip())
    loop.let_go()
    return int(told["ExitCode"] or 0)


class _Loop:
    def __init__(self, client: "DockerApi", identity: str, link: Any, streams: Streams) -> None:
        self._client = client
        self._identity = identity
        self._link = link
        self._streams = streams
        # What it said first, where that may be the engine's word instead of the command's.
        self.held = b""
        self._said = False
        self._pending = b""
        self._unsent = b""
        # TLS's own end, as it goes over the wire.
        self._goodbye = b""
        self._reads_first = False
        self._size = (0, 0)

    def run(self, early: bytes) -> None:
        self._show(early)
        stdin = self._streams.stdin
        # What TLS decoded together with the headers makes no socket ready.
        alive = self._receive()
        while alive:
            self._resize()
            # No more is taken than the other side does; meanwhile what it says is read, or it would wait for that.
            waiting = [self._link] if stdin is None or self._unsent else [self._link, stdin]
            full = [self._link] if (self._unsent or self._goodbye) and not self._reads_first else []
            ready, free, _ = select.select(waiting, full, [], _TICK)
            if self._link in ready:
                self._reads_first = False
                alive = self._receive()
            if self._link in free:
                self._send()
            if stdin is not None and stdin in ready:
                self._unsent = os.read(stdin, _CHUNK)
                if not self._unsent:
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
            while self._goodbye:
                # It is encrypted already.
                self._goodbye = self._goodbye[socket.socket.send(self._link, self._goodbye) :]
        except ssl.SSLWantReadError:
            # TLS has something of its own to read; that there is room to write says nothing now.
            self._reads_first = True
        except (ssl.SSLWantWriteError, BlockingIOError):
            return
        except (ConnectionError, ssl.SSLError):
            # Nobody takes it any more; what was said before that is still read.
            self._unsent = self._goodbye = b""

    def _end_of_input(self) -> None:
        """Tell the command that no more comes, and go on reading what it says to that."""
        with suppress(OSError):
            if isinstance(self._link, ssl.SSLSocket):
                self._goodbye = _goodbye(self._link)
            else:
                self._link.shutdown(socket.SHUT_WR)

    def _show(self, got: bytes) -> None:
        if self._streams.tty:
            self._write(self._streams.stdout, got)
            return
        self._pending += got
        while len(self._pending) >= _HEADER:
            stream, length = self._pending[0], int.from_bytes(self._pending[4:_HEADER], "big")
            if len(self._pending) < _HEADER + length:
                return
            out = self._streams.stderr if stream == 2 else self._streams.stdout
            self._write(out, self._pending[_HEADER : _HEADER + length])
            self._pending = self._pending[_HEADER + length :]

    def _write(self, out: BinaryIO, text: bytes) -> None:
        if not self._said and text.startswith(_NOT_BEGUN):
            self.held = text
        elif text:
            self.let_go()
            out.write(text)
            out.flush()
        self._said = self._said or bool(text)

    def let_go(self) -> None:
        """Show what was held: they were the command's own words."""
        self._streams.stdout.write(self.held)
        self._streams.stdout.flush()
        self.held = b""

    def _resize(self) -> None:
        if not self._streams.tty or self._streams.stdin is None or not os.isatty(self._streams.stdin):
            return
        size = os.get_terminal_size(self._streams.stdin)
        if (size.lines, size.columns) != self._size:
            self._size = (size.lines, size.columns)
            self._client.exec_resize(self._identity, height=size.lines, width=size.columns)


def _goodbye(link: ssl.SSLSocket) -> bytes:
    """TLS's end of what we say, for the wire. Nothing is read: what the other side says meanwhile is no part of it.

    `unwrap` also looks for the other side's end, throws away what else it finds, and the connection with it. So it works
    on a pair of sockets of its own, put for a moment in the place of the real one.
    """
    ours, its = socket.socketpair()
    with ours, its:
        its.setblocking(False)
        real = os.dup(link.fileno())
        os.dup2(its.fileno(), link.fileno(), inheritable=False)
        try:
            with suppress(ssl.SSLWantReadError):
                link.unwrap()
        finally:
            os.dup2(real, link.fileno(), inheritable=False)
            os.close(real)
        ours.setblocking(False)
        return ours.recv(_CHUNK)


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
