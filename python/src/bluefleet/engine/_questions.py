"""Questions to an engine over bare HTTP: docker-py takes as long to import as a hundred engines take to answer."""

import json
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, nullcontext, suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPMessage
from typing import Any
from urllib.parse import quote, urlsplit

from bluefleet.engine._endpoint import Deadlines, Endpoint
from bluefleet.engine._faults import NobodyThere
from bluefleet.engine._ssh import SshLink, SshLinks, heard
from bluefleet.engine._trust import check_files, context_of

# What the oldest supported engine (Debian 12's 20.10) speaks. One that no longer does is asked in what itself speaks.
FIRST_API = "1.41"
_BAD_REQUEST, _NOT_FOUND, _ERRORS = 400, 404, 400
_ENGINE = re.compile(r"Docker/(\S+)")


class Refusal(Exception):
    """The engine answered with an error, in its own words."""

    def __init__(self, status: int, words: str) -> None:
        self.status = status
        super().__init__(words)

    @property
    def missing(self) -> bool:
        """Whether there is no such thing."""
        return self.status == _NOT_FOUND


class Questions:
    """Asks one engine, from any thread; keeps its connections between questions. Nothing is sent before the first."""

    def __init__(self, endpoint: Endpoint, deadlines: Deadlines) -> None:
        self._endpoint = endpoint
        self._deadlines = deadlines
        self._place = urlsplit(endpoint.url)
        self._ssh = SshLinks(endpoint.url, deadlines.connect) if self._place.scheme == "ssh" else None
        self._idle: list[HTTPConnection] = []
        self._in_use: set[socket.socket] = set()
        self._using = threading.Lock()
        self._over = False
        self._spoken = FIRST_API
        # The newest API that it speaks; empty until it has answered.
        self.api = ""
        self._version = ""
        # The node's clock less ours is between these; every answer tells its second.
        self._skew = (float("-inf"), float("inf"))

    def get(self, path: str, within: float, **parameters: Any) -> Any:
        """What it answers, each time within so many seconds. Raises Refusal, OSError, HTTPException and EngineRefused."""
        query = "&".join(f"{key}={quote(json.dumps(value))}" for key, value in parameters.items())
        target = f"{path}?{query}" if query else path
        status, text = self._exchange(f"/v{self._spoken}{target}", within)
        if status == _BAD_REQUEST and self.api and self._spoken == FIRST_API != self.api:
            self._spoken = self.api
            status, text = self._exchange(f"/v{self._spoken}{target}", within)
        if status >= _ERRORS:
            raise Refusal(status, _words(text))
        try:
            return json.loads(text)
        except ValueError as error:
            raise HTTPException(f"what answers there is no engine: {text[:100]!r}") from error

    def reach(self, within: float) -> None:
        """Have a connection for the next question."""
        self._keep(self._kept() or self._connected(within))

    def newest_api(self, within: float) -> str:
        """The newest API that it speaks, as far as it tells."""
        if not self.api:
            self._exchange("/_ping", within)
        return self.api or FIRST_API

    def version(self, within: float) -> str:
        """The engine's version. Every answer has it; asked for it, an engine starts two programs to tell theirs as well."""
        if not self._version:
            self._version = str(self.get("/version", within)["Version"])
        return self._version

    def clock_skew(self) -> float:
        """Seconds by which the node's clock is ahead (or, less than 0, behind) at least; 0 when it may be right."""
        least, most = self._skew
        return least if least > 0 else most if most < 0 else 0.0

    def close(self) -> None:
        """End its connections, those that threads wait for, too, and ask no more."""
        with self._using:
            self._over = True
            for sock in self._in_use:
                # Not TLS's own, which would let the thread read on without TLS.
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
        if self._ssh is not None:
            self._ssh.cut()
        self._drop()

    def _exchange(self, target: str, within: float) -> tuple[int, bytes]:
        self._go_on()
        link = self._kept() or self._connected(within)
        try:
            with self._used(link.sock):
                link.sock.settimeout(within)
                asked = time.time()
                # One that was closed on this side's certificate has said why before that.
                with suppress(BrokenPipeError):
                    link.request("GET", target)
                with heard(link.sock) if isinstance(link.sock, SshLink) else nullcontext():
                    answer = link.getresponse()
                    self._learn(answer.headers, asked)
                    text = answer.read()
        except BaseException:
            link.close()
            raise
        self._keep(link)
        return answer.status, text

    def _go_on(self) -> None:
        if self._over:
            raise ConnectionAbortedError("it was given up")

    @contextmanager
    def _used(self, sock: socket.socket) -> Generator[None, None, None]:
        """While a thread waits for it, `close` can end the wait."""
        with self._using:
            self._go_on()
            self._in_use.add(sock)
        try:
            yield
        finally:
            with self._using:
                self._in_use.remove(sock)

    def _learn(self, headers: HTTPMessage, asked: float) -> None:
        """What an answer tells besides."""
        now = time.time()
        self.api = headers["Api-Version"] or self.api
        named = _ENGINE.match(headers["Server"] or "")
        self._version = named[1] if named else self._version
        with suppress(TypeError, ValueError):
            said = parsedate_to_datetime(headers["Date"]).timestamp()
            self._skew = (max(self._skew[0], said - now), min(self._skew[1], said + 1 - asked))

    def _keep(self, link: HTTPConnection) -> None:
        """For the next question, if there can be one and the engine has not said that it closes it."""
        if link.sock is not None:
            self._idle.append(link)
        if self._over:
            self._drop()

    def _drop(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def _kept(self) -> HTTPConnection | None:
        """A connection of before that the engine has not closed meanwhile."""
        while self._idle:
            try:
                link = self._idle.pop()
            except IndexError:
                # Another thread has just taken it.
                return None
            state = select.poll()
            # Not whether there is something to read: TLS has words of its own after it was made.
            state.register(link.sock, select.POLLRDHUP)
            if not state.poll(0):
                return link
            link.close()
        return None

    def _connected(self, within: float) -> HTTPConnection:
        link = HTTPConnection(self._place.hostname or "localhost", self._place.port)
        link.auto_open = 0
        link.sock = self._dial(within)
        return link

    def _dial(self, within: float) -> socket.socket:
        if self._ssh is not None:
            return self._ssh.dial()
        connect = min(self._deadlines.connect, within)
        if self._place.scheme == "unix":
            link = socket.socket(socket.AF_UNIX)
            link.settimeout(connect)
            try:
                link.connect(self._place.path)
            except OSError:
                link.close()
                raise
            return link
        tls = self._tls() if self._place.scheme == "https" else None
        host = self._place.hostname or ""
        try:
            link = socket.create_connection((host, self._place.port or 0), connect)
        except TimeoutError as error:
            raise NobodyThere from error
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.settimeout(within)
        return tls.wrap_socket(link, server_hostname=host) if tls else link

    def _tls(self) -> ssl.SSLContext:
        check_files(self._endpoint)
        files = self._endpoint.certificate
        return context_of(files) if files else ssl.create_default_context()


def _words(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, LookupError, TypeError):
        return text.decode(errors="replace").strip()
