"""A session's own streams: what is typed and what is said go both ways at once."""

import io
import os
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bluefleet.engine._session import Streams, _Loop
from tls_front import Authority

INPUT = os.urandom(300_000)
TIMES = 4
# Seconds after which something hangs; it is a matter of milliseconds.
PATIENCE = 30
Pair = Callable[[], tuple[Any, Any]]


@pytest.fixture(params=["plain", "tls"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    """Makes both ends of a connection that holds little: ours, which never blocks, and the command's."""

    def connected() -> tuple[Any, Any]:
        ends = socket.socketpair()
        for end in ends:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        if request.param == "plain":
            ends[0].setblocking(False)
            return ends
        authority = Authority(tmp_path, "ca")
        authority.sign(tmp_path / "server", ["127.0.0.1"])
        serves = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        serves.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
        asks = ssl.create_default_context(cafile=str(authority.file))
        served: list[ssl.SSLSocket] = []
        shaking = threading.Thread(target=lambda: served.append(serves.wrap_socket(ends[1], server_side=True)))
        shaking.start()
        ours = asks.wrap_socket(ends[0], server_hostname="127.0.0.1")
        shaking.join(PATIENCE)
        ours.setblocking(False)
        return ours, served[0]

    return connected


def frame(text: bytes) -> bytes:
    """As the engine sends what a command writes to stdout."""
    return bytes([1, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


def expand(end: Any) -> None:
    """A command that says more than it is told, and hears nothing while nobody listens."""
    with end:
        while text := end.recv(1000):
            end.sendall(frame(text * TIMES))


def test_a_command_that_says_more_than_it_is_told_comes_to_its_end(pair: Pair) -> None:
    ours, command = pair()
    reading, writing = os.pipe()
    out = io.BytesIO()

    def type_() -> None:
        with os.fdopen(writing, "wb") as typed:
            typed.write(INPUT)

    session = _Loop(None, "it", ours, Streams(stdout=out, stderr=io.BytesIO(), stdin=reading))  # type: ignore[arg-type]
    works = [
        threading.Thread(target=type_, daemon=True),
        threading.Thread(target=expand, args=[command], daemon=True),
        threading.Thread(target=session.run, args=[b""], daemon=True),
    ]
    for work in works:
        work.start()
    for work in works:
        work.join(PATIENCE)
    assert not any(work.is_alive() for work in works)
    assert len(out.getvalue()) == TIMES * len(INPUT)
    os.close(reading)
    ours.close()


def test_what_is_said_in_the_moment_the_input_ends_is_heard(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, command = pair()
    unwrap = ssl.SSLSocket.unwrap

    def just_then(link: ssl.SSLSocket) -> socket.socket:
        command.sendall(frame(b"just then, "))
        return unwrap(link)

    monkeypatch.setattr(ssl.SSLSocket, "unwrap", just_then)
    out = io.BytesIO()
    session = _Loop(None, "it", ours, Streams(stdout=out, stderr=io.BytesIO()))  # type: ignore[arg-type]
    command.sendall(frame(b"before, "))
    session._end_of_input()
    session._send()
    assert command.recv(10) == b""
    command.sendall(frame(b"after"))
    command.close()
    session.run(b"")
    tls = isinstance(ours, ssl.SSLSocket)
    assert out.getvalue() == (b"before, just then, after" if tls else b"before, after")
    ours.close()


def test_an_end_of_input_that_finds_no_room_is_told_later(pair: Pair) -> None:
    ours, command = pair()
    out = io.BytesIO()
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as typed:
        typed.write(b"x" * 60_000)
    heard: list[int] = []

    def hears_late() -> None:
        # It hears nothing until it has said more than the connection holds.
        with command:
            command.sendall(frame(bytes(500_000)))
            while text := command.recv(1000):
                heard.append(len(text))

    hears = threading.Thread(target=hears_late, daemon=True)
    hears.start()
    session = _Loop(None, "it", ours, Streams(stdout=out, stderr=io.BytesIO(), stdin=reading))  # type: ignore[arg-type]
    talks = threading.Thread(target=session.run, args=[b""], daemon=True)
    talks.start()
    for one in (hears, talks):
        one.join(PATIENCE)
        assert not one.is_alive()
    assert (sum(heard), len(out.getvalue())) == (60_000, 500_000)
    os.close(reading)
    ours.close()


def test_input_that_nobody_takes_ends_no_session_before_what_was_said_is_read(pair: Pair) -> None:
    ours, command = pair()
    reading, writing = os.pipe()
    os.write(writing, b"x" * 60_000)
    out = io.BytesIO()

    def say_and_go() -> None:
        with command:
            command.sendall(frame(b"bye"))

    speaks = threading.Thread(target=say_and_go)
    speaks.start()
    speaks.join(PATIENCE)
    _Loop(None, "it", ours, Streams(stdout=out, stderr=io.BytesIO(), stdin=reading)).run(b"")  # type: ignore[arg-type]
    assert out.getvalue() == b"bye"
    for end in (reading, writing):
        os.close(end)
    ours.close()
