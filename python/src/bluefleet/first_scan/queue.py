"""The queue's HTTP API, as far as the first scan and the examples need it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from bluefleet.first_scan.errors import StageFailed

POLL = 0.5
# What the HTTP server says may be half a second old, and then still be the idleness from before.
STALE = 1.0
# How long a question that changes nothing is asked again (s) where it could not be answered in time: a machine that opens
# an environment for the first time has much else to do. The HTTP server says 408 when the manager is late, the edge 502 to 504.
PATIENCE = 30.0
LATE = (408, 502, 503, 504)
# A key in our items' metadata, so that what an earlier, failed first scan left in the queue is recognised.
MARK = "first_scan"


@dataclass(frozen=True)
class Outcome:
    """How a queued plan ended."""

    exit_status: str
    run_uids: list[str]
    message: str


@dataclass(frozen=True)
class Contents:
    """The item that runs, if one does, and those that wait: ours, those of others like us, all else."""

    running: dict[str, Any]
    ours: list[dict[str, Any]]
    alike: list[dict[str, Any]]
    others: list[dict[str, Any]]


class Queue:
    """The queue of one site. All waits have a deadline; what goes wrong is a StageFailed naming ``host``.

    :param mark: a key of our items' ``meta``, by which they are known among others'; an id beside it says that they are
        ours, and not of somebody who does the same
    """

    def __init__(self, client: httpx.Client, host: str, mark: str = MARK) -> None:
        self._client = client
        self._host = host
        self._mark = mark
        self._meta = {mark: True, f"{mark}_id": str(uuid4())}

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
        time.sleep(STALE)
        if not self.wait_until_idle(deadline, stage, tell)["worker_environment_exists"]:
            raise self._failed("the environment did not open; its log says why", stage)

    def close_environment(self, tell: Callable[[dict[str, Any]], None], deadline: float = 60) -> None:
        stage = "close the environment"
        if not self.wait_until_idle(deadline, stage, tell)["worker_environment_exists"]:
            return
        self._ask("POST", "environment/close", stage=stage)
        time.sleep(STALE)
        if self.wait_until_idle(deadline, stage, tell)["worker_environment_exists"]:
            raise self._failed("the environment did not close; its log says why", stage)

    def plans(self) -> set[str]:
        """Names of plans that may be queued."""
        return set(self._ask("GET", "plans/allowed", stage="look for the plans")["plans_allowed"])

    def devices(self) -> set[str]:
        """Names of devices that plans may use."""
        return set(self._ask("GET", "devices/allowed", stage="look for the devices")["devices_allowed"])

    def refuse_missing(self, devices: set[str]) -> None:
        if missing := devices - self.devices():
            raise self._failed(
                f"the queue doesn't know {', '.join(sorted(missing))}: "
                "not declared in the inventory, or not applied since (bluefleet apply)",
                "look for the devices",
            )

    def run_now(self, plan: Mapping[str, Any], deadline: float, tell: Callable[[dict[str, Any]], None]) -> Outcome:
        """Run a plan at once, past the queue."""
        stage = f"run {plan['name']}"
        uid = self._ask("POST", "queue/item/execute", stage=stage, body={"item": self._item(plan)})["item"]["item_uid"]
        return self._outcome(uid, deadline, stage, tell)

    def run_queued(self, plan: Mapping[str, Any], deadline: float, tell: Callable[[dict[str, Any]], None]) -> Outcome:
        """Put a plan at the front of the queue, start the queue, and stop it after that plan."""
        stage = f"run {plan['name']}"
        self.remove_left()
        uid = self.add(plan, "front")
        others = self.status()["items_in_queue"] > 1
        self.start(stage)
        if others:  # they are somebody else's: the queue was stopped, and is again
            self._ask("POST", "queue/stop", stage=stage)
        return self._outcome(uid, deadline, stage, tell)

    def add(self, plan: Mapping[str, Any], position: str = "back") -> str:
        """Queue a plan; the item's uid."""
        body = {"item": self._item(plan), "pos": position}
        uid: str = self._ask("POST", "queue/item/add", stage=f"queue {plan['name']}", body=body)["item"]["item_uid"]
        return uid

    def start(self, stage: str) -> None:
        self._ask("POST", "queue/start", stage=stage)

    def contents(self) -> Contents:
        answer = self._ask("GET", "queue/get", stage="read the queue")
        found = Contents(answer.get("running_item") or {}, [], [], [])
        for item in answer["items"]:
            alike = self._mark in (item.get("meta") or ())
            (found.ours if self.is_ours(item) else found.alike if alike else found.others).append(item)
        return found

    def is_ours(self, item: Mapping[str, Any]) -> bool:
        return item.get("meta") == self._meta

    def remove_ours(self) -> None:
        """Take our items out; one that begins to run meanwhile stays."""
        self._remove(self.contents().ours)

    def remove_left(self) -> bool:
        """Take out what others like us left when they broke off; whether they had, and are not at work."""
        if self.contents().alike:
            before = self.status()
            # Who is about to start the queue changes it meanwhile.
            time.sleep(STALE)
            after = self.status()
            if after["manager_state"] != "idle" or after["plan_queue_uid"] != before["plan_queue_uid"]:
                return False
            self._remove(self.contents().alike)
        return True

    def kept_waiting(self) -> list[dict[str, Any]]:
        """What others have in the queue, where it stands still."""
        time.sleep(STALE)
        contents = self.contents()
        return [*contents.alike, *contents.others] if self.status()["manager_state"] == "idle" else []

    def _remove(self, items: list[dict[str, Any]]) -> None:
        for item in items:
            try:
                self._ask("POST", "queue/item/remove", stage="clear the queue", body={"uid": item["item_uid"]})
            except StageFailed:
                contents = self.contents()
                if item["item_uid"] in [left["item_uid"] for left in (*contents.ours, *contents.alike)]:
                    raise

    def end_ours(self, deadline: float = 60) -> None:
        """Take our items out, and abort the plan that runs if it is ours: never what somebody else has queued."""
        stage = "end the plan that runs"
        self.remove_ours()
        # Nothing may follow ours while it is looked at: it would be aborted in its place.
        held = self._may("queue/stop")
        time.sleep(STALE)
        end = time.monotonic() + deadline
        aborted = False
        while self.is_ours(self.contents().running):
            if time.monotonic() > end:
                raise self._failed(f"it still runs after {deadline:g} s", stage)
            # Either is refused while the other is still under way.
            if self.status()["re_state"] == "paused":
                aborted = self._may("re/abort") or aborted
            else:
                self._may("re/pause", {"option": "immediate"})
            time.sleep(POLL)
        if held and not aborted:
            self._may("queue/stop/cancel")
        # What was aborted is back at the head of the queue.
        self.remove_ours()

    def ended(self, uid: str, stage: str) -> Outcome | None:
        """How an item ended; nothing while it did not."""
        for item in reversed(self._ask("GET", "history/get", stage=stage)["items"]):
            if item["item_uid"] == uid:
                result = item["result"]
                return Outcome(result["exit_status"], result["run_uids"], result.get("msg") or "")
        return None

    def _outcome(self, uid: str, deadline: float, stage: str, tell: Callable[[dict[str, Any]], None]) -> Outcome:
        end = time.monotonic() + deadline
        while True:
            status = self.status()
            if status["running_item_uid"] != uid and (outcome := self.ended(uid, stage)):
                return outcome
            if status["re_state"] == "paused":
                raise self._failed("the plan was paused; resume or abort it", stage)
            if time.monotonic() > end:
                raise self._failed(f"not finished after {deadline:g} s", stage)
            tell(status)
            time.sleep(POLL)

    def _may(self, path: str, body: Mapping[str, Any] | None = None) -> bool:
        """Ask for what the queue refuses where there is nothing to do; whether it did it."""
        try:
            self._ask("POST", path, stage=path, body=body)
        except StageFailed as error:
            if error.service == "re-manager":
                return False
            raise
        return True

    def _item(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        return {"item_type": "plan", **plan, "meta": self._meta}

    def _ask(self, verb: str, path: str, *, stage: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        answer = self._answer(verb, path, stage, body)
        end = time.monotonic() + PATIENCE
        while verb == "GET" and answer.status_code in LATE and time.monotonic() < end:
            time.sleep(POLL)
            answer = self._answer(verb, path, stage, body)
        if not answer.is_success:
            what = f"{path} answered {answer.status_code}: {answer.text[:200]}"
            raise self._failed(what, stage, service="http-server")
        try:
            content: dict[str, Any] = answer.json()
        except ValueError as error:
            what = f"{path} answered what is not JSON: {answer.text[:200]}"
            raise self._failed(what, stage, service="http-server") from error
        if content.get("success") is False:
            raise self._failed(f"{path} was refused: {content.get('msg')}", stage)
        return content

    def _answer(self, verb: str, path: str, stage: str, body: Mapping[str, Any] | None) -> httpx.Response:
        try:
            return self._client.request(verb, f"/api/{path}", json=body)
        except httpx.HTTPError as error:
            raise self._failed(
                f"{self._client.base_url}: {error or type(error).__name__}", stage, service="edge http-server"
            ) from error

    def _failed(self, what: str, stage: str, service: str = "re-manager") -> StageFailed:
        return StageFailed(what, stage=stage, host=self._host, pod="acquisition", service=service)
