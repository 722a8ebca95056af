"""What an engine tells: containers, images, lines of logs, commands that were run."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_NEVER = "0001-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Container:
    """A container as its engine reports it. Times are None when there are none (never started, still running)."""

    id: str
    name: str
    labels: Mapping[str, str]
    image: str
    state: str
    health: str
    restarts: int
    exit_code: int
    reason: str
    started: datetime | None
    finished: datetime | None
    stop_grace: int = 10

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def digest(self) -> str:
        """The digest it was created from; empty if it was not created by digest."""
        return self.image.partition("@")[2]


@dataclass(frozen=True, slots=True)
class Executed:
    """A command that was run inside a container and has ended."""

    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a container wrote; `time` is RFC 3339 in UTC with nine digits, which sort as they are.

    `stream` is stdout or stderr, or empty where nobody noted it.
    """

    time: str
    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that happened to a container: the engine's word for it (`die`, `health_status: unhealthy`).

    An empty one says that from now on nothing is missed.
    """

    what: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image on a node, with every manifest digest it is known by there."""

    id: str
    digests: frozenset[str]
    bytes: int


@dataclass(frozen=True, slots=True)
class Observation:
    """What an engine says of itself and of the containers that were asked for."""

    version: str
    containers: tuple[Container, ...]
    # Seconds by which its clock is ahead of ours (or behind, below 0) at least; 0 when it may be right.
    clock_skew: float = 0.0


def container_of(inspected: Mapping[str, Any]) -> Container:
    """What the engine told of a container, in our words."""
    state = inspected["State"]
    return Container(
        id=inspected["Id"],
        name=str(inspected["Name"]).removeprefix("/"),
        labels=inspected["Config"].get("Labels") or {},
        image=inspected["Config"]["Image"],
        state=state["Status"],
        # Of a container that does not run, the engine still tells what the last check said.
        health=state.get("Health", {}).get("Status", "") if state["Running"] else "",
        restarts=inspected["RestartCount"],
        exit_code=state["ExitCode"],
        reason=state.get("Error", ""),
        started=_time(state["StartedAt"]),
        finished=None if state["Running"] else _time(state["FinishedAt"]),
        stop_grace=inspected["Config"].get("StopTimeout") or 10,
    )


def _time(text: str) -> datetime | None:
    """Docker writes nanoseconds, and the year 1 for never."""
    return None if text == _NEVER else datetime.fromisoformat(text[:19] + "+00:00")
