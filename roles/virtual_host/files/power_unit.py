#!/usr/bin/python3
"""The power unit of a laboratory of virtual hosts: an outlet for each, switched over HTTPS with a token.

    GET  /outlets             {"outlets": {"node1": "on", "node2": "off"}}
    POST /outlets/node2/off   {"outlet": "node2", "state": "off"}: a power cut; it stays off until it is switched on
    POST /outlets/node2/on    {"outlet": "node2", "state": "on"}

What goes wrong is {"error": …}: 401 without the token, 404 for what is no host of this laboratory, 502 when the engine refuses,
504 when it is silent.

It holds the engine's socket, and with that the control machine: so everybody needs the token, and containers are found by the
laboratory's label, never by a name that somebody sends. Only the standard library: the image it runs in has no more.
"""

import argparse
import contextlib
import hmac
import http.client
import json
import logging
import signal
import socket
import socketserver
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlsplit

log = logging.getLogger("power-unit")

LAB_LABEL = "org.bluefleet.lab"
# How long a client may be silent.
CLIENT_SECONDS = 10.0
# Nobody has to send anything.
BODY_BYTES = 65536
# What is paused or being restarted has power.
POWERED = {"running", "paused", "restarting"}


class Wrong(Exception):
    """A request that isn't met, and the status that says so."""

    def __init__(self, status: HTTPStatus, words: str) -> None:
        self.status = status
        super().__init__(words)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over the engine's socket."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("engine", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        """Open it; what the engine leaves unanswered ends after `timeout`."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True)
class Outlet:
    """A virtual host's container."""

    container: str
    on: bool

    @property
    def state(self) -> str:
        """The word for it."""
        return "on" if self.on else "off"


@dataclass(frozen=True)
class Outlets:
    """The virtual hosts of one laboratory: containers that carry its checkout and are called `<network>-<host>`."""

    socket: str
    seconds: float
    checkout: str
    network: str

    def all(self) -> dict[str, Outlet]:
        """Every outlet by its host's name. Raises Wrong."""
        filters = quote(json.dumps({"label": [f"{LAB_LABEL}={self.checkout}"]}))
        prefix = f"/{self.network}-"
        return {
            name.removeprefix(prefix): Outlet(container["Id"], container["State"] in POWERED)
            for container in self._ask("GET", f"/containers/json?all=true&filters={filters}")
            for name in container["Names"]
            if name.startswith(prefix)
        }

    def switch(self, host: str, action: str) -> Outlet:
        """Take a host's power, or give it back; what it is afterwards. Raises Wrong."""
        outlets = self.all()
        if host not in outlets:
            known = ", ".join(sorted(outlets)) or "none"
            raise Wrong(HTTPStatus.NOT_FOUND, f"{host!r} is no host of this laboratory; these are: {known}")
        container = outlets[host].container
        if outlets[host].on != (action == "on"):
            # What is killed by this call counts as stopped on purpose: no restart policy brings it back, the engine's start neither.
            self._ask("POST", f"/containers/{container}/{'start' if action == 'on' else 'kill'}")
        found = Outlet(container, self._ask("GET", f"/containers/{container}/json")["State"]["Status"] in POWERED)
        if found.state != action:
            raise Wrong(
                HTTPStatus.BAD_GATEWAY, f"{host} was switched {action}, and is {found.state}; see the engine's log"
            )
        return found

    def _ask(self, method: str, path: str) -> Any:
        """What the engine answers. Done already is well: two may switch the same outlet."""
        try:
            with contextlib.closing(UnixConnection(self.socket, self.seconds)) as engine:
                engine.request(method, path)
                answer = engine.getresponse()
                content = answer.read()
        except TimeoutError as error:
            raise Wrong(
                HTTPStatus.GATEWAY_TIMEOUT, f"the engine gave no answer for {self.seconds:g} s; see its log"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise Wrong(HTTPStatus.BAD_GATEWAY, f"the engine can't be asked at {self.socket}: {error}") from error
        if answer.status >= HTTPStatus.BAD_REQUEST and answer.status != HTTPStatus.CONFLICT:
            said = content.decode(errors="replace").strip()
            raise Wrong(HTTPStatus.BAD_GATEWAY, f"the engine answers {method} {path} with {answer.status}: {said}")
        return json.loads(content) if method == "GET" else None


class Server(ThreadingHTTPServer):
    """A thread a client, so that one that is slow or silent is in nobody's way."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], outlets: Outlets, token: str, context: ssl.SSLContext) -> None:
        super().__init__(address, Handler)
        self.outlets = outlets
        self._expected = f"Bearer {token}".encode()
        # The handshake is the client's thread's business: here it would hold up everybody.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def admits(self, authorization: str) -> bool:
        """Whether it is the token; how long that takes tells nothing about it."""
        return hmac.compare_digest(authorization.encode("utf-8", "surrogateescape"), self._expected)

    def server_bind(self) -> None:
        """Without the base class's search for a name, which waits for a network that has no names."""
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  # the base class's
        """A line for who broke off or spoke something else."""
        log.warning("%s: %r", client_address[0], sys.exc_info()[1])


class Handler(BaseHTTPRequestHandler):
    """One request."""

    timeout = CLIENT_SECONDS
    server_version = "bluefleet-power-unit"
    sys_version = ""

    def setup(self) -> None:
        """Shake hands within the deadline for anything the client sends."""
        self.request.settimeout(self.timeout)
        self.request.do_handshake()
        super().setup()

    def do_GET(self) -> None:
        """States of all outlets."""
        self._answer_with(self._outlets)

    def do_POST(self) -> None:
        """One outlet on or off."""
        self._answer_with(self._switch)

    def _outlets(self) -> dict[str, Any]:
        if self._words() != ["outlets"]:
            raise Wrong(HTTPStatus.NOT_FOUND, f"there is nothing at {self.path}; GET /outlets tells all there is")
        outlets = cast(Server, self.server).outlets.all()
        return {"outlets": {name: outlet.state for name, outlet in sorted(outlets.items())}}

    def _switch(self) -> dict[str, Any]:
        match self._words():
            case ["outlets", host, "on" | "off" as action]:
                return {"outlet": host, "state": cast(Server, self.server).outlets.switch(host, action).state}
            case _:
                words = f"there is nothing at {self.path}; POST /outlets/<host>/off or /outlets/<host>/on"
                raise Wrong(HTTPStatus.NOT_FOUND, words)

    def _answer_with(self, work: Any) -> None:
        try:
            self._take_body()
            if not cast(Server, self.server).admits(self.headers.get("Authorization", "")):
                raise Wrong(HTTPStatus.UNAUTHORIZED, "send the unit's token: `Authorization: Bearer <token>`")
            self._send(HTTPStatus.OK, work())
        except Wrong as error:
            log.warning("%s: %s %a: %s", self.client_address[0], self.command, self.path, error)
            self._send(error.status, {"error": str(error)})

    def _words(self) -> list[str]:
        return urlsplit(self.path).path.strip("/").split("/")

    def _take_body(self) -> None:
        """Read what nobody needs: unread, it would cost the client its answer."""
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > BODY_BYTES:
            raise Wrong(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{length} bytes are too many; nothing has to be sent")
        self.rfile.read(int(length))

    def _send(self, status: HTTPStatus, content: Mapping[str, Any]) -> None:
        body = json.dumps(content).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """What the base class refuses is told like the rest."""
        self._send(HTTPStatus(code), {"error": message or HTTPStatus(code).phrase})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Who asked what; no header, for one is the token."""
        log.info("%s: %s", self.client_address[0], (format % args).encode("unicode_escape").decode())


def arguments() -> argparse.Namespace:
    """What it is told when it is started: places of secrets, no secrets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--network", required=True, help="prefix of the names of the laboratory's containers")
    parser.add_argument("--checkout", required=True, help=f"their label {LAB_LABEL}")
    parser.add_argument("--token-file", type=Path, required=True, help="what clients send as bearer")
    parser.add_argument("--certificate", type=Path, required=True, help="its own, PEM")
    parser.add_argument("--key", type=Path, required=True, help="of the certificate, PEM")
    parser.add_argument("--engine", default="/var/run/docker.sock", help="the engine's socket")
    # The engine itself waits up to 10 s for the end of what it killed; whoever asks us has patience for 30.
    parser.add_argument("--engine-seconds", type=float, default=50.0, help="how long the engine may be silent")
    parser.add_argument("--address", default="0.0.0.0", help="where it answers")  # noqa: S104  # a container has one network
    parser.add_argument("--port", type=int, default=443, help="where it answers; 0 for any that is free")
    return parser.parse_args()


def main() -> None:
    """Answer until it is told to end."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    told = arguments()
    # The first program of a container ends on a signal only if it says so.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        token = told.token_file.read_text(encoding="utf-8").strip()
        context.load_cert_chain(told.certificate, told.key)
    except (OSError, ValueError) as error:
        sys.exit(f"power unit: token, certificate or key can't be used: {error}")
    if not token:
        sys.exit(f"power unit: {told.token_file} is empty")
    server = Server(
        (told.address, told.port),
        Outlets(told.engine, told.engine_seconds, told.checkout, told.network),
        token,
        context,
    )
    log.info("answers on port %d", server.server_address[1])
    server.serve_forever()


if __name__ == "__main__":
    main()
