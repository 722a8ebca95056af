"""Answers like the queue's HTTP API, over TLS, with what a test wants it to say; it remembers what it was asked."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bluefleet.fleet import Settings
from bluefleet.fleet._queue import Queue

KEY = "a key for the queue"


class QueueStandIn:
    """`known` are the worker's devices; listing them again after a function was executed makes `known` `declared`.

    `item` is the plan that runs, `waiting` are those that wait.
    """

    def __init__(self, certificate: Path) -> None:
        self.open = True
        self.item: dict[str, Any] = {}
        self.waiting: list[dict[str, Any]] = []
        self.known: set[str] = set()
        self.declared: set[str] = set()
        self.functions: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate.with_suffix(".crt"), certificate.with_suffix(".key"))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_port}/api"
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    def close(self) -> None:
        """From here on nothing answers."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the queue says."""
        if path == "/api/status":
            busy = bool(self.item)
            return {
                "manager_state": "executing_queue" if busy else "idle",
                "worker_environment_exists": self.open,
                "worker_environment_state": "executing_plan" if busy else "idle" if self.open else "closed",
                "running_item_uid": "item-1" if busy else None,
                "items_in_queue": len(self.waiting),
            }
        if path == "/api/function/execute":
            self.functions.append(body["item"]["name"])
        if path == "/api/environment/update" and self.functions:
            self.known = set(self.declared)
        return {
            "/api/devices/allowed": {"success": True, "devices_allowed": {name: {} for name in self.known}},
            "/api/queue/get": {
                "success": True,
                "items": self.waiting,
                "running_item": {"item_uid": "item-1", **self.item} if self.item else {},
            },
            "/api/re/runs/active": {"success": True, "run_list": [{"uid": "run-1"}] if self.item else []},
            "/api/function/execute": {"success": True, "task_uid": "task-1"},
            "/api/environment/update": {"success": True, "task_uid": "task-2"},
            "/api/task/result": {"success": True, "status": "completed", "result": {"success": True, "msg": ""}},
        }[path]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        queue = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                allowed = self.headers.get("Authorization") == f"ApiKey {KEY}"
                said = queue.answer(self.path, json.loads(text or b"{}")) if allowed else {"detail": "no"}
                content = json.dumps(said).encode()
                self.send_response(200 if allowed else 401)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815 (http.server's spelling)

            def log_message(self, *arguments: object) -> None:
                """Tests are quiet."""

        return Handler


@contextmanager
def in_the_queues_place(settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[QueueStandIn]:
    """It answers on a port of its own whatever the fleet asks a site's queue; `folder` is where the authority was made."""
    found = QueueStandIn(folder / "ca" / "server")
    settings.site_ca.write_bytes((folder / "ca" / "engines.crt").read_bytes())
    settings.queue_api_key.write_text(KEY + "\n")
    monkeypatch.setattr(
        Queue, "of", lambda *_, answer=5.0: Queue(found.url, settings.site_ca, settings.queue_api_key, answer=answer)
    )
    yield found
    found.close()
