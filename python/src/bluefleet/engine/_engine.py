"""One node's engine: questions and changes, each with a deadline and a named error.

asyncio above, a thread for each call below. A thread whose engine never answers is abandoned when the deadline has
passed; it is a daemon thread and keeps no process alive. An engine that missed a deadline is not asked again.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from bluefleet.engine._endpoint import Deadlines, Endpoint, RegistryLogin
from bluefleet.engine._errors import EngineRefused, EngineTimeout, ImageMissing
from bluefleet.engine._spec import LABEL, ContainerSpec

if TYPE_CHECKING:
    from bluefleet.engine._client import DockerApi

_T = TypeVar("_T")
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

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def digest(self) -> str:
        """The digest it was created from; empty if it was not created by digest."""
        return self.image.partition("@")[2]


@dataclass(frozen=True, slots=True)
class Observation:
    """What an engine says of itself and of the containers that were asked for."""

    version: str
    containers: tuple[Container, ...]


class Engine:
    """The Docker engine of one node."""

    def __init__(self, endpoint: Endpoint, deadlines: Deadlines | None = None) -> None:
        self.endpoint = endpoint
        self.deadlines = deadlines or Deadlines()
        self._client: DockerApi | None = None
        self._version = ""
        self._lost: EngineTimeout | None = None

    async def __aenter__(self) -> "Engine":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A client that a hung call still uses is left to its thread.
        if self._client is not None and self._lost is None:
            self._client.close()

    async def observe(self, labels: Mapping[str, str]) -> Observation:
        """The engine's version and all containers, running or not, that carry `labels` (of `org.bluefleet`)."""
        selection = [f"{LABEL}.{key}={value}" for key, value in labels.items()]

        def ask(client: "DockerApi") -> Observation:
            from bluefleet.engine._client import inspect_all

            containers = tuple(_container(found) for found in inspect_all(client, selection))
            return Observation(version=self._version, containers=containers)

        return await self._call("look at its containers", self.deadlines.answer, ask)

    async def ensure_image(self, reference: str, digest: str, login: RegistryLogin | None = None) -> str:
        """The name under which the node has that image; pulled if it is not there. Returns what to create from.

        An image is known by its digest, whatever registry it came from: one that is on the node needs no registry.
        """
        if not digest:
            raise ImageMissing(
                self.endpoint.node,
                f"look for {reference}",
                "it has no digest: it is not built yet",
                "Run `site.yml --tags images`",
            )
        local = await self._call(
            "look for the image", self.deadlines.answer, lambda client: _local(client, reference, digest)
        )
        if local:
            return local
        repository = reference.partition("@")[0]
        await self._call(
            f"pull {repository}",
            self.deadlines.pull,
            lambda client: _pull(client, self.endpoint.node, repository, digest, login),
        )
        return f"{repository}@{digest}"

    async def create(self, spec: ContainerSpec, image: str) -> str:
        """Create the container from `image` (what `ensure_image` returned), not started. Returns its id."""
        created = await self._call(
            f"create {spec.name}",
            self.deadlines.change,
            lambda client: client.create_container_from_config(spec.body(image), spec.name),
        )
        return str(created["Id"])

    async def start(self, container: str) -> None:
        """Start a container that is not running."""
        await self._call("start a container", self.deadlines.change, lambda client: client.start(container))

    async def stop(self, container: str, grace: int) -> None:
        """Stop a container: its stop signal first, SIGKILL after `grace` seconds."""
        await self._call(
            "stop a container", self.deadlines.change + grace, lambda client: client.stop(container, grace)
        )

    async def remove(self, container: str) -> None:
        """Remove a container. Its named volumes stay."""
        await self._call(
            "remove a container", self.deadlines.change, lambda client: client.remove_container(container, force=True)
        )

    async def _call(self, tried: str, deadline: float, work: Callable[["DockerApi"], _T]) -> _T:
        # Before the clock runs: no engine should be blamed for the 0.3 s that docker-py takes to import, and who only
        # wants a name of this package should not pay them.
        import_module("bluefleet.engine._client")
        if self._lost is not None:
            raise self._lost
        try:
            return await _in_thread(lambda: self._connected(tried, deadline, work), deadline)
        except TimeoutError:
            self._lost = EngineTimeout(
                self.endpoint.node,
                f"{tried} at {self.endpoint.url}",
                f"no answer within {deadline:g} s",
                f"Look at `journalctl -u docker` on {self.endpoint.node}; restart its engine if it hangs",
            )
            raise self._lost from None
        except EngineTimeout as error:
            self._lost = error
            raise

    def _connected(self, tried: str, deadline: float, work: Callable[["DockerApi"], _T]) -> _T:
        from bluefleet.engine._client import connect, translated

        if self._client is None:
            client = connect(self.endpoint, self.deadlines)
            client.allow(deadline)
            with translated(self.endpoint, "connect"):
                self._version = str(client.negotiate()["Version"])
            self._client = client
        self._client.allow(deadline)
        with translated(self.endpoint, tried):
            return work(self._client)


async def _in_thread(work: Callable[[], _T], deadline: float) -> _T:
    answer: Future[_T] = Future()
    # From here on it can't be cancelled: an abandoned thread delivers to nobody, and that is no error.
    answer.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 (carried to the caller, who sees it raised)
            answer.set_exception(error)
        else:
            answer.set_result(result)

    threading.Thread(target=run, daemon=True, name="engine").start()
    return await asyncio.wait_for(asyncio.wrap_future(answer), deadline)


def _container(inspected: Mapping[str, Any]) -> Container:
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
    )


def _time(text: str) -> datetime | None:
    """Docker writes nanoseconds, and the year 1 for never."""
    return None if text == _NEVER else datetime.fromisoformat(text[:19] + "+00:00")


def _local(client: "DockerApi", reference: str, digest: str) -> str:
    for image in client.images():
        for known in image.get("RepoDigests") or ():
            if known == reference or str(known).endswith(f"@{digest}"):
                return str(known)
    return ""


def _pull(client: "DockerApi", node: str, repository: str, digest: str, login: RegistryLogin | None) -> None:
    for progress in client.pull(
        repository, digest, stream=True, decode=True, auth_config=_auth(node, repository, login)
    ):
        if "error" in progress:
            raise ImageMissing(
                node,
                f"pull {repository}@{digest}",
                str(progress["error"]),
                "It is not on the node either; check that the registry answers and holds that digest",
            )


def _auth(node: str, repository: str, login: RegistryLogin | None) -> dict[str, str] | None:
    # A login is for its registry only and is shown to no other.
    if login is None or not repository.startswith(f"{login.registry}/"):
        return None
    try:
        password = login.password_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise EngineRefused(
            node,
            f"pull {repository}",
            f"the registry's password is not readable: {login.password_file}: {error.strerror}",
            "Run it as user bluefleet; `site.yml --tags fleet` puts the file in place",
        ) from error
    return {"username": login.username, "password": password, "serveraddress": login.registry}
