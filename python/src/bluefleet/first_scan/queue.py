"""The queue's HTTP API, as far as a first scan needs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from bluefleet.first_scan.errors import StageFailed

POLL = 0.5
# Marks our items, so that what an earlier, failed first scan left in the queue is recognised.
MARK = {"first_scan": True}


@dataclass(frozen=True)
class Outcome:
    """How a queued plan ended."""

    exit_status: str
    run_uids: list[str]
    message: str


class Queue:
    """The queue of one site. All waits have a deadline; what goes wrong is a StageFailed naming ``host``."""

    def __init__(self, client: httpx.Client, host: str) -> None:
        self._client = client
        self._host = host

    def wait_until_it_answers(self, deadline: float = 60) -> None:
        last = ""
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            try:
                self.status()
            except StageFailed as error:
                if error.service == "re-manager":
                    raise
                last = error.what
                time.sleep(POLL)
            else:
                return
        raise self._failed(f"no answer within {deadline:g} s: {last}", "ask the queue", service="edge http-server")

    def status(self) -> dict[str, Any]:
        return self._ask("GET", "status", stage="ask the queue")

    def wait_until_idle(self, deadline: float, stage: str, tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Return the status in which nothing runs; ``tell`` sees each status on the way."""
        end = time.monotonic() + deadline
        status = self.status()
        while status["manager_state"] != "idle":
            if time.monotonic() > end:
                raise self._failed(f"the queue is still {status['manager_state']} after {deadline:g} s", stage)
            tell(status)
            time.sleep(POLL)
            status = self.status()
        return status

    def open_environment(self, tell: Callable[[dict[str, Any]], None], deadline: float = 120) -> None:
        stage = "open the environment"
        if self.wait_until_idle(deadline, stage, tell)["worker_environment_exists"]:
            return
        self._ask("POST", "environment/open", stage=stage)
        # What the HTTP server says may be half a second old, and then still be the idleness from before.
        time.sleep(2 * POLL)
        if not self.wait_until_idle(deadline, stage, tell)["worker_environment_exists"]:
            raise self._failed("the environment did not open; its log says why", stage)

    def refuse_missing(self, devices: set[str]) -> None:
        allowed = self._ask("GET", "devices/allowed", stage="look for the devices")["devices_allowed"]
        if missing := devices - set(allowed):
            raise self._failed(
                f"the queue doesn't know {', '.join(sorted(missing))}: "
                "not declared in the inventory, or not applied since (bluefleet apply)",
                "look for the devices",
            )

    def run_now(self, plan: Mapping[str, Any], deadline: float, tell: Callable[[dict[str, Any]], None]) -> Outcome:
        """Run a plan at once, past the queue."""
        stage = f"run {plan['name']}"
        uid = self._ask("POST", "queue/item/execute", stage=stage, body={"item": _item(plan)})["item"]["item_uid"]
        return self._outcome(uid, deadline, stage, tell)

    def run_queued(self, plan: Mapping[str, Any], deadline: float, tell: Callable[[dict[str, Any]], None]) -> Outcome:
        """Put a plan at the front of the queue, start the queue, and stop it after that plan."""
        stage = f"run {plan['name']}"
        self._remove_left_over()
        body = {"item": _item(plan), "pos": "front"}
        uid = self._ask("POST", "queue/item/add", stage=f"queue {plan['name']}", body=body)["item"]["item_uid"]
        others = self.status()["items_in_queue"] > 1
        self._ask("POST", "queue/start", stage=stage)
        if others:  # they are somebody else's: the queue was stopped, and is again
            self._ask("POST", "queue/stop", stage=stage)
        return self._outcome(uid, deadline, stage, tell)

    def _remove_left_over(self) -> None:
        for item in self._ask("GET", "queue/get", stage="read the queue")["items"]:
            if item.get("meta") == MARK:
                self._ask("POST", "queue/item/remove", stage="clear the queue", body={"uid": item["item_uid"]})

    def _outcome(self, uid: str, deadline: float, stage: str, tell: Callable[[dict[str, Any]], None]) -> Outcome:
        end = time.monotonic() + deadline
        while True:
            status = self.status()
            if status["running_item_uid"] != uid:
                for item in reversed(self._ask("GET", "history/get", stage=stage)["items"]):
                    if item["item_uid"] == uid:
                        result = item["result"]
                        return Outcome(result["exit_status"], result["run_uids"], result.get("msg") or "")
            if status["re_state"] == "paused":
                raise self._failed("the plan was paused; resume or abort it", stage)
            if time.monotonic() > end:
                raise self._failed(f"not finished after {deadline:g} s", stage)
            tell(status)
            time.sleep(POLL)

    def _ask(self, verb: str, path: str, *, stage: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = self._client.request(verb, f"/api/{path}", json=body)
        except httpx.HTTPError as error:
            raise self._failed(
                f"{self._client.base_url}: {error or type(error).__name__}", stage, service="edge http-server"
            ) from error
        if not answer.is_success:
            what = f"{path} answered {answer.status_code}: {answer.text[:200]}"
            raise self._failed(what, stage, service="http-server")
        content: dict[str, Any] = answer.json()
        if content.get("success") is False:
            raise self._failed(f"{path} was refused: {content.get('msg')}", stage)
        return content

    def _failed(self, what: str, stage: str, service: str = "re-manager") -> StageFailed:
        return StageFailed(what, stage=stage, host=self._host, pod="acquisition", service=service)


def _item(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {"item_type": "plan", **plan, "meta": MARK}
