"""The small HTTP server in which each service of the document path says how it is, and is told what to do. JSON only."""

import hmac
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from bluefleet.documents.errors import DocumentError, NotFound, RequestWrong, Unavailable

logger = logging.getLogger(__name__)

#: A route's answer: what is under the first part of the path; the argument is the rest of the path.
Route = Callable[[str], Mapping[str, Any]]
#: What is done for a POST: the second argument is the JSON object that came.
Action = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
#: What needs no key.
OPEN = {"status"}
#: Longest request.
LONGEST = 64 * 1024


class StatusServer:
    """Serves `routes`: {"status": f} answers /status, {"runs": g} answers /runs/<argument>. POST does `actions`.

    `/healthz` answers 200 while `healthy()` is true and 503 otherwise. With a `key`, what is said of runs is for those
    who send it (`Authorization: ApiKey …`); how the service is, everybody may know who reaches it.
    """

    def __init__(
        self,
        port: int,
        routes: Mapping[str, Route],
        healthy: Callable[[], bool],
        *,
        key: str | None = None,
        actions: Mapping[str, Action] | None = None,
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(*answer(self.path, self.headers.get("Authorization", "")))

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                if not length.isdigit() or int(length) > LONGEST:
                    self._send(400, {"error": f"send a JSON object of at most {LONGEST} bytes, and its length"})
                    return
                self._send(*act(self.path, self.headers.get("Authorization", ""), self.rfile.read(int(length))))

            def _send(self, code: int, body: Mapping[str, Any]) -> None:
                content = json.dumps(body, default=str).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
                logger.debug(format, *args)

        def answer(path: str, authorization: str) -> tuple[int, Mapping[str, Any]]:
            first, _, rest = unquote(urlsplit(path).path).strip("/").partition("/")
            if first == "healthz":
                well = healthy()
                return (200 if well else 503), {"ok": well}
            if first not in routes:
                return 404, {"error": f"nothing here; there is /{', /'.join(['healthz', *routes])}"}
            if first not in OPEN and not may(authorization):
                return 401, {"error": "send Authorization: ApiKey …"}
            return _asked(rest, lambda: routes[first](rest))

        def act(path: str, authorization: str, body: bytes) -> tuple[int, Mapping[str, Any]]:
            first, _, rest = unquote(urlsplit(path).path).strip("/").partition("/")
            action = (actions or {}).get(first)
            if action is None:
                return 404, {"error": "nothing is done here"}
            if not may(authorization):
                return 401, {"error": "send Authorization: ApiKey …"}
            return _asked(rest, lambda: action(rest, _object(body)))

        def may(authorization: str) -> bool:
            scheme, _, given = authorization.partition(" ")
            right = scheme.lower() == "apikey" and hmac.compare_digest(given.strip().encode(), (key or "").encode())
            return key is None or right

        self._server = ThreadingHTTPServer(("", port), Handler)
        self._server.daemon_threads = True
        # It looks this often, in seconds, whether it should stop.
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.1], name="status", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_address[1]

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        content: Any = json.loads(body or b"{}")
    except ValueError as error:
        raise RequestWrong(f"not JSON: {error}") from error
    if not isinstance(content, dict):
        raise RequestWrong("not a JSON object")
    return cast("Mapping[str, Any]", content)


def _asked(about: str, answer: Callable[[], Mapping[str, Any]]) -> tuple[int, Mapping[str, Any]]:
    try:
        return 200, {"schema_version": 1} | dict(answer())
    except NotFound as error:
        return 404, {"error": str(error)}
    except RequestWrong as error:
        return 400, {"error": str(error)}
    except Unavailable as error:
        return 503, {"error": str(error)}
    except (DocumentError, sqlite3.Error) as error:
        logger.warning("asked for %s: %s", about, error, exc_info=True)
        return 500, {"error": str(error)}
