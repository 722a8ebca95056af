"""What a browser does with Jupyter: it logs in with a form, starts a kernel, and talks to that over a WebSocket."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import struct
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from patience import PATIENCE

# Seconds that a cell may take; the first one imports half of the libraries.
CELL = 120.0


class Browser:
    """Somebody's browser; `url` ends in /jupyter/."""

    def __init__(self, url: str, trust: ssl.SSLContext) -> None:
        self._url, self._trust = url, trust
        # No connection is kept: nobody has to close this.
        limits = httpx.Limits(max_keepalive_connections=0)
        self.pages = httpx.Client(base_url=url, verify=trust, trust_env=False, timeout=60 * PATIENCE, limits=limits)

    def log_in(self, password: str) -> httpx.Response:
        """Type the password into the page; what is answered."""
        self.pages.get("login").raise_for_status()
        form = {"password": password, "_xsrf": self.pages.cookies["_xsrf"]}
        return self.pages.post("login", params={"next": "/jupyter/lab"}, data=form)

    def notebook(self, name: str) -> dict[str, Any]:
        """A notebook's content."""
        content: dict[str, Any] = self.pages.get(f"api/contents/{name}").raise_for_status().json()["content"]
        return content

    @contextmanager
    def kernel(self) -> Iterator[Kernel]:
        """A kernel of one's own."""
        headers = {"X-XSRFToken": self.pages.cookies["_xsrf"]}
        started = self.pages.post("api/kernels", json={"name": "python3"}, headers=headers).raise_for_status()
        path = f"api/kernels/{started.json()['id']}"
        try:
            cookies = "; ".join(f"{name}={value}" for name, value in self.pages.cookies.items())
            with WebSocket(f"{self._url}{path}/channels?session_id=a", self._trust, {"Cookie": cookies}) as channels:
                yield Kernel(channels)
        finally:
            self.pages.delete(path, headers=headers)


class Kernel:
    """A kernel, as a cell sees it."""

    def __init__(self, channels: WebSocket) -> None:
        self._channels = channels

    def run(self, code: str) -> list[dict[str, Any]]:
        """The outputs of a cell: contents of messages, in their order. An error of the cell is one here."""
        asked = uuid.uuid4().hex
        header = {"msg_id": asked, "username": "", "session": "a", "msg_type": "execute_request", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
        self._channels.send(json.dumps(message))
        outputs: list[dict[str, Any]] = []
        while True:
            told = json.loads(self._channels.receive())
            if told["parent_header"].get("msg_id") != asked:
                continue
            kind = told["header"]["msg_type"]
            assert kind != "error", "\n".join(told["content"]["traceback"])
            if kind in ("stream", "display_data", "execute_result"):
                outputs.append(told["content"])
            if kind == "status" and told["content"]["execution_state"] == "idle":
                return outputs

    def printed(self, code: str) -> str:
        """What a cell prints."""
        return "".join(output.get("text", "") for output in self.run(code))


# Kinds of frames.
CONTINUED, TEXT, CLOSE, PING, PONG = 0, 1, 8, 9, 10


class WebSocket:
    """Texts there and back, over TLS (RFC 6455)."""

    def __init__(self, url: str, trust: ssl.SSLContext, headers: dict[str, str]) -> None:
        place = urlsplit(url)
        host, port = place.hostname or "", place.port or 443
        plain = socket.create_connection((host, port), timeout=CELL)
        self._socket = trust.wrap_socket(plain, server_hostname=host)
        self._stream = self._socket.makefile("rb")
        lines = {
            "Host": place.netloc,
            "Origin": f"https://{place.netloc}",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            **headers,
        }
        asked = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._socket.sendall(f"GET {place.path}?{place.query} HTTP/1.1\r\n{asked}\r\n".encode())
        answer = self._stream.readline().decode()
        assert " 101 " in answer, answer
        while self._stream.readline() != b"\r\n":
            pass

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._socket.close()

    def send(self, text: str) -> None:
        """A text, in one frame."""
        self._frame(TEXT, text.encode())

    def _frame(self, kind: int, data: bytes) -> None:
        # The mask that a client must use hides nothing here: it is zero.
        size = struct.pack("!B", 128 | len(data)) if len(data) < 126 else struct.pack("!BH", 128 | 126, len(data))
        self._socket.sendall(bytes([128 | kind]) + size + bytes(4) + data)

    def receive(self) -> str:
        """The next text. Pings between are answered: who leaves them unanswered is taken for gone."""
        text = b""
        while True:
            first, second = self._read(2)
            length = second & 127
            if length >= 126:
                length = int.from_bytes(self._read(2 if length == 126 else 8), "big")
            data = self._read(length)
            kind = first & 15
            assert kind != CLOSE, f"closed: {data!r}"
            if kind == PING:
                self._frame(PONG, data)
            if kind in (CONTINUED, TEXT):
                text += data
                if first & 128:
                    return text.decode()

    def _read(self, count: int) -> bytes:
        data = self._stream.read(count)
        assert len(data) == count, "the connection ended"
        return data


def drawings(outputs: list[dict[str, Any]]) -> list[bytes]:
    """The pictures among the outputs of a cell."""
    found = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return [base64.b64decode(picture) for picture in found]


def run_notebook(browser: Browser, name: str) -> tuple[list[bytes], str]:
    """Every cell of a notebook, in a kernel of its own: its pictures and what it prints."""
    outputs: list[dict[str, Any]] = []
    with browser.kernel() as kernel:
        for cell in browser.notebook(name)["cells"]:
            if cell["cell_type"] == "code":
                outputs += kernel.run("".join(cell["source"]))
    return drawings(outputs), "".join(output.get("text", "") for output in outputs)


# Run in a kernel, as anybody who has logged in can: which of these (address, port) take a connection.
REACHED = """
import json, socket
reached = []
for address, port in {asked}:
    try:
        socket.create_connection((address, port), timeout=2).close()
        reached.append([address, port])
    except OSError:
        pass
print(json.dumps(reached))
"""


def reached_from_a_notebook(browser: Browser, asked: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Which of these take a connection from somebody's notebook."""
    with browser.kernel() as kernel:
        found = json.loads(kernel.printed(REACHED.format(asked=repr(asked))))
    return [(address, port) for address, port in found]
