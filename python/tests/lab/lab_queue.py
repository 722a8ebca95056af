"""The queue of the laboratory as a scientist's script uses it: start a plan, look at it, end it."""

from __future__ import annotations

import contextlib
import json
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import httpx
from lab_door import bluefleet

from patience import PATIENCE, ends_in


class LabQueue:
    """The HTTP API at the edge."""

    def __init__(self) -> None:
        edge = json.loads(bluefleet("site", "--json").stdout)["edge"]
        with open(edge["queue_api_key_file"], encoding="utf-8") as file:  # noqa: PTH123  # the path comes as text
            key = file.read().strip()
        self._client = httpx.Client(
            base_url=f"{edge['url']}/api/",
            headers={"Authorization": f"ApiKey {key}"},
            verify=ssl.create_default_context(cafile=edge["ca_file"]),
            trust_env=False,
            timeout=30 * PATIENCE,
        )

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def ask(self, verb: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One question; a refusal is an AssertionError with the server's words."""
        answer = self._client.request(verb, path, json=body)
        if verb == "GET" and answer.status_code == HTTPStatus.REQUEST_TIMEOUT:
            # The manager was late, as it is when a machine opens an environment; to ask once more changes nothing.
            answer = self._client.request(verb, path, json=body)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        content: dict[str, Any] = answer.json()
        assert content.get("success", True), f"{path}: {content.get('msg')}"
        return content

    def status(self) -> dict[str, Any]:
        """What the RE manager does."""
        return self.ask("GET", "status")

    def devices(self) -> set[str]:
        """Names that plans may use."""
        return set(self.ask("GET", "devices/allowed")["devices_allowed"])

    def open(self) -> None:
        """The environment is open and idle."""
        # The plan of a test that failed in the middle of it would hold up all that come after.
        self.stop()
        if not self.status()["worker_environment_exists"]:
            self.ask("POST", "environment/open")
        self.wait(lambda s: s["worker_environment_exists"] and s["manager_state"] == "idle", "open", 120)

    def start(self, plan: str, *arguments: Any, **options: Any) -> str:
        """Run a plan past the queue; return the uid of its run."""
        item = {"item_type": "plan", "name": plan, "args": list(arguments), "kwargs": options}
        self.ask("POST", "queue/item/execute", {"item": item})
        end = ends_in(30)
        while not (runs := self.ask("GET", "re/runs/active")["run_list"]):
            assert time.monotonic() < end, f"no run was opened: {self.status()}"
            time.sleep(0.2)
        return str(runs[-1]["uid"])

    def stop(self) -> None:
        """End the plan that runs, as somebody who has seen enough."""

        def ended(status: dict[str, Any]) -> bool:
            # Either is refused while the other is under way, and what is answered may be half a second old.
            with contextlib.suppress(AssertionError):
                if status["re_state"] == "running":
                    self.ask("POST", "re/pause", {"option": "immediate"})
                elif status["re_state"] == "paused":
                    self.ask("POST", "re/stop")
            return status["manager_state"] == "idle"

        self.wait(ended, "idle")

    def wait(self, reached: Callable[[dict[str, Any]], bool], state: str, seconds: float = 60) -> None:
        """Wait for a state; what is answered may be half a second old."""
        end = ends_in(seconds)
        while not reached(status := self.status()):
            assert time.monotonic() < end, f"the queue is not {state} after {seconds * PATIENCE:g} s: {status}"
            time.sleep(0.3)
