"""The queue's HTTP API at the edge, as far as the fleet needs it: what runs, what is known, load new devices."""

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bluefleet.fleet._edge import in_words, session
from bluefleet.fleet._settings import Settings
from bluefleet.model import Site

_CONNECT = 2.0
_ANSWER = 5.0
# Loading connects to every new device; each has its own time-out in the worker.
_LOAD = 60.0
_POLL = 0.2
_RELOAD = {"name": "reload_devices", "item_type": "function"}
# What the worker raises when an IOC was declared that its process can't search for: Channel Access reads its address
# list once.
_MUST_REOPEN = "EnvironmentMustReopen"
_OPEN = 120.0


class QueueError(Exception):
    """The queue did not answer, or refused what was asked."""


@dataclass(frozen=True, slots=True)
class RunningPlan:
    """The plan that runs now. `words` are the strings among its arguments, up to their first dot: mostly device names."""

    name: str
    run: str
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class QueueState:
    """`known` are the devices the worker has; it has none that count while the environment is closed."""

    open: bool
    idle: bool
    known: frozenset[str]
    running: RunningPlan | None


@dataclass(frozen=True, slots=True)
class QueueStanding:
    """What the queue does: its own word for it, the name of the plan that runs, and the items that wait."""

    state: str
    running: str
    waiting: list[Mapping[str, Any]]


class Queue:
    """One site's queue."""

    def __init__(self, url: str, ca: Path, key_file: Path, *, answer: float = _ANSWER) -> None:
        self.url = url
        self._answer = answer
        self._key_file = key_file
        self._session = session(ca)

    @classmethod
    def of(cls, site: Site, settings: Settings, *, answer: float = _ANSWER) -> "Queue | None":
        """The site's queue, if it has an acquisition pod; `answer` is how many seconds it has for each question."""
        pod = site.pods.acquisition
        if pod is None:
            return None
        return cls(f"https://{pod.address}/api", settings.site_ca, settings.queue_api_key, answer=answer)

    def state(self) -> QueueState:
        """What the worker does and knows. Raises QueueError."""
        with self._spoken_to():
            status = self._ask("GET", "status")
            is_open = bool(status["worker_environment_exists"])
            idle = status["manager_state"] == "idle" and status["worker_environment_state"] == "idle"
            busy = status["manager_state"] in {"executing_queue", "paused"} or status["running_item_uid"] is not None
            known = frozenset(self._ask("GET", "devices/allowed")["devices_allowed"]) if is_open else frozenset[str]()
            return QueueState(open=is_open, idle=idle, known=known, running=self._running() if busy else None)

    def standing(self) -> QueueStanding:
        """What it does. Raises QueueError."""
        with self._spoken_to():
            status = self._ask("GET", "status")
            queued = self._ask("GET", "queue/get") if status["items_in_queue"] or status["running_item_uid"] else {}
            running: Mapping[str, Any] = queued.get("running_item") or {}
            return QueueStanding(
                str(status["manager_state"]), str(running.get("name") or ""), list(queued.get("items") or ())
            )

    @contextmanager
    def _spoken_to(self) -> Generator[None, None, None]:
        try:
            yield
        except (KeyError, TypeError) as error:
            raise QueueError(f"what answers at {self.url} is no queue that is known here: {error!r}") from error

    def reload_devices(self) -> None:
        """Make the worker load the device database; returns when it has. Raises QueueError."""
        result = self._done("function/execute", {"item": _RELOAD})
        if result["success"]:
            # Plans can name what is listed.
            result = self._done("environment/update", {})
        if result["success"]:
            return
        if _MUST_REOPEN not in str(result.get("traceback")):
            raise QueueError(f"the worker could not load the devices: {result['msg']}")
        self._reopen()

    def _done(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What the worker says at the end of a task."""
        task = self._ask("POST", path, body)["task_uid"]
        deadline = time.monotonic() + _LOAD
        while True:
            answer = self._ask("GET", "task/result", {"task_uid": task})
            if answer["status"] == "completed":
                return answer["result"]
            if time.monotonic() > deadline:
                raise QueueError(f"the worker did not load the devices within {_LOAD:g} s")
            time.sleep(_POLL)

    def _reopen(self) -> None:
        """Give the idle worker a new process, which loads the device database as it is now."""
        self._ask("POST", "environment/close")
        self._wait_for(open_=False)
        self._ask("POST", "environment/open")
        self._wait_for(open_=True)

    def _wait_for(self, *, open_: bool) -> None:
        deadline = time.monotonic() + _OPEN
        while True:
            status = self._ask("GET", "status")
            if status["worker_environment_exists"] == open_ and status["manager_state"] == "idle":
                return
            if time.monotonic() > deadline:
                raise QueueError(f"the environment did not {'open' if open_ else 'close'} within {_OPEN:g} s")
            time.sleep(_POLL)

    def _running(self) -> RunningPlan | None:
        item = self._ask("GET", "queue/get")["running_item"]
        if not item:
            return None
        runs = self._ask("GET", "re/runs/active")["run_list"]
        # `motor_ph.velocity` is a part of motor_ph.
        strings = _strings([item.get("args", []), item.get("kwargs", {})])
        words = frozenset(text.partition(".")[0] for text in strings)
        return RunningPlan(str(item["name"]), str(runs[-1]["uid"] if runs else item["item_uid"]), words)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        where = f"{self.url}/{path}"
        try:
            key = self._key_file.read_text(encoding="utf-8").strip()
            answer = self._session.request(
                method,
                where,
                json=body,
                headers={"Authorization": f"ApiKey {key}"},
                timeout=(min(_CONNECT, self._answer), self._answer),
            )
            answer.raise_for_status()
            content: Any = answer.json()
        except OSError as error:
            raise QueueError(f"the queue at {where} {in_words(error, self._answer)}") from error
        if content.get("success") is False:
            raise QueueError(f"the queue refused {path}: {content.get('msg')}")
        return content


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in cast("Mapping[object, object]", value).values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _strings(item)
