"""One node's engine: questions and changes, each with a deadline and a named error.

asyncio above, a thread for each call below. A thread whose engine never answers is abandoned when the deadline has
passed; it is a daemon thread and keeps no process alive. An engine that missed a deadline is not asked again, unless it
was the command, the log or the image that took so long.
"""

import asyncio
import gzip
import json
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import aclosing, contextmanager
from http.client import HTTPException
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from bluefleet.engine._endpoint import Deadlines, Endpoint, RegistryLogin
from bluefleet.engine._errors import (
    EngineError,
    EngineRefused,
    EngineTimeout,
    ExecTimeout,
    ImageMissing,
    ProgramNotStarted,
    TransferTimeout,
    VolumeDiffers,
)
from bluefleet.engine._faults import fault, named
from bluefleet.engine._questions import Questions, Refusal
from bluefleet.engine._seen import Container, Executed, Happened, LocalImage, LogLine, Observation, container_of
from bluefleet.engine._session import NotBegun, Streams, converse
from bluefleet.engine._spec import LABEL, ContainerSpec, Mount

if TYPE_CHECKING:
    from bluefleet.engine._client import DockerApi

_T = TypeVar("_T")
# What an error of `Engine.logs` says was tried: a silence there need not be a fault.
READ_LOGS = "read its logs"
# How long a log that is followed may be silent before the engine is asked whether it is still there.
_SILENCE = 10.0
# How long nothing may happen before the engine is asked anew. A link that is gone looks like one where nothing happens.
_UNEVENTFUL = 60.0
# Health checks make an event for each of their steps; these are the ones after which something is different.
_EVENTS = ("create", "start", "die", "destroy", "pause", "unpause", "health_status")
# Lines that a thread may be ahead of their reader.
_AHEAD = 1000
# What a shell ends with when there is no such program, and when there is one that it may not run.
_NO_PROGRAM, _NO_RIGHT = 127, 126
# How long such a thread waits before it looks whether there is still a reader.
_LOOK_UP = 0.2


class Engine:
    """The Docker engine of one node."""

    def __init__(self, endpoint: Endpoint, deadlines: Deadlines | None = None) -> None:
        self.endpoint = endpoint
        self.deadlines = deadlines or Deadlines()
        self._questions = Questions(endpoint, self.deadlines)
        self._client: DockerApi | None = None
        self._making = threading.Lock()
        self._spent = 0.0
        self._lost: EngineTimeout | None = None
        self._left_at_work = False

    async def __aenter__(self) -> "Engine":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._questions.close()
        # A client that a call still uses is left to its thread.
        if self._lost is None and not self._left_at_work and self._client is not None:
            self._client.close()

    async def reach(self) -> None:
        """Connect already. The time it takes is taken from the deadline of the next question."""
        begun = time.monotonic()
        await self._ask("connect", lambda: self._questions.reach(self.deadlines.answer))
        self._spent = time.monotonic() - begun

    async def observe(self, labels: Mapping[str, str]) -> Observation:
        """The engine's version and all containers, running or not, that carry `labels` (of `org.bluefleet`)."""
        selection = {"label": [f"{LABEL}.{key}={value}" for key, value in labels.items()]}
        within = self.deadlines.answer

        def ask() -> Observation:
            containers: list[Container] = []
            for entry in self._questions.get("/containers/json", within, all=1, filters=selection):
                found = self._if_there(f"/containers/{entry['Id']}/json")
                # It went away meanwhile.
                if found is not None:
                    containers.append(container_of(found))
            version = self._questions.version(within)
            return Observation(version, tuple(containers), clock_skew=self._questions.clock_skew())

        return await self._ask("look at its containers", ask)

    async def started(self) -> str:
        """A word for its last start: another one after the next. Empty when this engine does not tell.

        An engine makes its bridge anew whenever it starts, and tells when it made it, but not when it was started.
        """
        found = await self._ask("ask for its start", lambda: self._if_there("/networks/bridge"))
        return str(found["Created"]) if found else ""

    async def ensure_image(self, reference: str, digest: str, login: RegistryLogin | None = None) -> str:
        """The name under which the node has that image; pulled if it is not there. Returns what to create from.

        An image is known by its digest, whatever registry it came from: one that is on the node needs no registry.
        Raises TransferTimeout when the pull takes too long.
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
            late=TransferTimeout(
                self.endpoint.node,
                f"pull {repository}",
                f"not done within {self.deadlines.pull:g} s",
                f"Look how fast {self.endpoint.node} reaches the registry, then run `bluefleet apply` again",
            ),
        )
        return f"{repository}@{digest}"

    async def ensure_volumes(self, mounts: Sequence[Mount], labels: Mapping[str, str]) -> None:
        """Make those volumes that have options and are not there. Raises VolumeDiffers for one that has others."""
        wanted = [mount for mount in mounts if mount.kind == "volume" and mount.options]

        def work(client: "DockerApi") -> None:
            from bluefleet.engine._client import volume_options

            for mount in wanted:
                there = volume_options(client, mount.source)
                if there is None:
                    client.create_volume(mount.source, "local", dict(mount.options), dict(labels))
                elif there != dict(mount.options):
                    raise VolumeDiffers(
                        self.endpoint.node,
                        f"use volume {mount.source}",
                        f"it is there with other options: {_words(there)} instead of {_words(mount.options)}",
                        f"Stop what uses it and remove it (`docker volume rm {mount.source}` on {self.endpoint.node}), "
                        "or declare another name as its `source`",
                    )

        if wanted:
            await self._call("make its volumes", self.deadlines.change, work)

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

    async def kill(self, container: str) -> None:
        """End a container's processes at once."""
        await self._call("kill a container", self.deadlines.change, lambda client: client.kill(container))

    async def execute(self, container: str, command: Sequence[str], *, within: float) -> Executed:
        """Run a command inside a running container. Raises ExecTimeout when it has not ended `within` seconds."""
        tried = f"run {command[0]} in a container"
        late = ExecTimeout(self.endpoint.node, tried, f"not done within {within:g} s", "It may still be at work there")

        def work(client: "DockerApi") -> Executed:
            end = time.monotonic() + within
            output = {1: bytearray(), 2: bytearray()}
            made = client.exec_create(container, list(command), stdin=False, tty=False, user="")
            client.allow(within)
            try:
                for stream, text in client.exec_frames(made["Id"]):
                    output[stream] += text
                    if time.monotonic() > end:
                        raise ReadTimeout
            except ReadTimeout:
                raise late from None
            code = int(client.exec_inspect(made["Id"])["ExitCode"] or 0)
            return Executed(code, bytes(output[1]), bytes(output[2]))

        from requests.exceptions import ReadTimeout

        # The engine is not to blame for a command that hangs: it is given longer than that.
        return await self._call(tried, within + self.deadlines.answer, work, late=late)

    async def converse(self, container: str, command: Sequence[str], streams: Streams) -> int:
        """Run a command inside a running container with these streams until it ends; returns its exit code.

        Raises ProgramNotStarted when there is no such program, or it can't be run.
        """
        await self._call("connect", self.deadlines.answer, lambda _: None)
        tried = f"run {command[0]} in a container"

        def work(client: "DockerApi") -> int:
            try:
                return converse(client, container, command, streams)
            except NotBegun as error:
                raise _not_started(self.endpoint.node, tried, command[0], str(error)) from None

        return await _in_thread(lambda: self._connected(tried, self.deadlines.answer, work), None)

    async def save_logs(self, container: str, file: Path) -> None:
        """Write all that the container wrote to a compressed file, whole or not at all.

        Each line is as Kubernetes keeps it, `<time> stderr F <text>`, with P in place of F where its end is on the next one.
        Raises TransferTimeout when that takes too long.
        """
        new = file.with_name(f".{file.name}.new")
        over = threading.Event()

        def work(client: "DockerApi") -> None:
            with gzip.open(new, "wb", compresslevel=1) as packed:
                for stream, text in client.log_frames(container, follow=False, since=0, tail=None):
                    if over.is_set():
                        return
                    time_, _, words = text.partition(b" ")
                    end = b"F" if words.endswith(b"\n") else b"P"
                    packed.write(b"%b %b %b %b\n" % (time_, _name(stream).encode(), end, words.removesuffix(b"\n")))

        tried, within = "save the logs of a container", self.deadlines.change
        late = TransferTimeout(self.endpoint.node, tried, f"not here within {within:g} s", "It may be very long")
        try:
            await self._call(tried, within, work, late=late)
            new.replace(file)
        finally:
            over.set()
            new.unlink(missing_ok=True)

    async def logs(
        self, container: str, *, follow: bool = False, since: float = 0.0, tail: int | None = None
    ) -> AsyncGenerator[LogLine, None]:
        """What the container wrote, line by line; with `follow` until it ends.

        With `follow`, an engine that says nothing for a while raises EngineTimeout, as one that is gone would.
        """

        def work(client: "DockerApi") -> Iterator[LogLine]:
            client.allow(_SILENCE if follow else self.deadlines.answer)
            for stream, text in client.log_frames(container, follow=follow, since=since, tail=tail):
                time_, _, words = text.decode(errors="replace").rstrip("\n").partition(" ")
                yield LogLine(time_, _name(stream), words)

        async with aclosing(self._stream(READ_LOGS, work)) as lines:
            async for line in lines:
                yield line

    async def events(self, labels: Mapping[str, str]) -> AsyncGenerator[Happened, None]:
        """What happens to containers with `labels` (of `org.bluefleet`); first, that it is listened to.

        When nothing happens for a minute it raises EngineTimeout, as it does when the engine is gone: begin again.
        """
        filters = {
            "type": ["container"],
            "event": _EVENTS,
            "label": [f"{LABEL}.{key}={value}" for key, value in labels.items()],
        }

        def work(client: "DockerApi") -> Iterator[Happened]:
            client.allow(_UNEVENTFUL)
            for line in client.event_lines(filters):
                if not line:
                    yield Happened("", {})
                    continue
                found = json.loads(line)
                yield Happened(str(found["Action"]), found["Actor"]["Attributes"])

        async with aclosing(self._stream("listen to its events", work)) as events:
            async for event in events:
                yield event

    async def images(self) -> list[LocalImage]:
        """All images on the node."""

        found = await self._ask("list its images", lambda: self._questions.get("/images/json", self.deadlines.answer))
        return [
            LocalImage(
                id=str(image["Id"]),
                digests=frozenset(str(one).partition("@")[2] for one in image.get("RepoDigests") or ()),
                bytes=int(image["Size"]),
            )
            for image in found
        ]

    async def volumes(self) -> dict[str, str]:
        """Its named volumes, each with the device it was made of; empty for a folder of the engine's own."""
        found = await self._ask("list its volumes", lambda: self._questions.get("/volumes", self.deadlines.answer))
        return {
            str(one["Name"]): str((one["Options"] or {"device": ""}).get("device", ""))
            for one in found["Volumes"] or ()
        }

    async def remove_image(self, reference: str, digest: str) -> None:
        """Remove an image by every name it has there, if it is there. Raises EngineFault when a container needs it."""

        def work(client: "DockerApi") -> None:
            while name := _local(client, reference, digest):
                client.remove_image(name)

        await self._call(f"remove {reference}", self.deadlines.change, work)

    async def remove(self, container: str) -> None:
        """Remove a container. Its named volumes stay."""
        await self._call(
            "remove a container", self.deadlines.change, lambda client: client.remove_container(container, force=True)
        )

    async def _ask(self, tried: str, ask: Callable[[], _T]) -> _T:
        """A question that has no need of docker-py."""

        def work() -> _T:
            with self._told(tried):
                return ask()

        spent, self._spent = self._spent, 0.0
        return await self._within(tried, self.deadlines.answer - spent, work)

    async def _call(
        self, tried: str, deadline: float, work: Callable[["DockerApi"], _T], *, late: EngineError | None = None
    ) -> _T:
        # Before the clock runs: no engine should be blamed for the 0.3 s that docker-py takes to import, and who only
        # asks should not pay them.
        import_module("bluefleet.engine._client")
        return await self._within(tried, deadline, lambda: self._connected(tried, deadline, work), late=late)

    async def _within(
        self, tried: str, deadline: float, work: Callable[[], _T], *, late: EngineError | None = None
    ) -> _T:
        """Do the work in a thread. `late` is raised when it takes too long for reasons that are not the engine's."""
        if self._lost is not None:
            raise self._lost
        try:
            return await _in_thread(work, deadline)
        except (TimeoutError, EngineTimeout) as error:
            if late is not None:
                self._left_at_work = True
                raise late from None
            self._questions.close()
            if self._client is not None:
                self._client.cut()
            if isinstance(error, EngineTimeout):
                self._lost = error
                raise
            self._lost = EngineTimeout(
                self.endpoint.node,
                f"{tried} at {self.endpoint.url}",
                f"no answer within {deadline:g} s",
                f"Look at `journalctl -u docker` on {self.endpoint.node}; restart its engine if it hangs",
            )
            raise self._lost from None

    @contextmanager
    def _told(self, tried: str) -> Generator[None, None, None]:
        """What goes wrong with a question, as this package's errors."""
        try:
            yield
        except Refusal as error:
            raise fault(self.endpoint.node, f"{tried} at {self.endpoint.url}", str(error)) from error
        except (OSError, HTTPException) as error:
            raise named(self.endpoint, tried if self._questions.api else "connect", error) from error

    def _if_there(self, path: str) -> Any:
        """What the engine tells of a thing; None when there is none."""
        try:
            return self._questions.get(path, self.deadlines.answer)
        except Refusal as error:
            if error.missing:
                return None
            raise

    async def _stream(self, tried: str, work: Callable[["DockerApi"], Iterator[_T]]) -> AsyncGenerator[_T, None]:
        """What `work` yields in a thread of its own. The thread waits until each is taken, and ends with its reader."""
        await self._call("connect", self.deadlines.answer, lambda _: None)
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[_T | BaseException | None] = asyncio.Queue()
        room = threading.Semaphore(_AHEAD)
        over = threading.Event()

        def put(item: "_T | BaseException | None") -> bool:
            while not room.acquire(timeout=_LOOK_UP):
                if over.is_set():
                    return False
            try:
                loop.call_soon_threadsafe(queue.put_nowait, item)
            except RuntimeError:
                # Its reader has ended, and the loop with it.
                return False
            return not over.is_set()

        def run() -> None:
            from bluefleet.engine._client import translated

            try:
                with translated(self.endpoint, tried):
                    for item in self._connected(tried, self.deadlines.answer, work):
                        if not put(item):
                            return
            except BaseException as error:  # noqa: BLE001 (carried to the reader, who sees it raised)
                put(error)
            else:
                put(None)

        threading.Thread(target=run, daemon=True, name="engine-stream").start()
        try:
            while (item := await queue.get()) is not None:
                room.release()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            over.set()
            if self._client is not None:
                self._client.end_streams()

    def _connected(self, tried: str, deadline: float, work: Callable[["DockerApi"], _T]) -> _T:
        from bluefleet.engine._client import connect, translated

        with self._told("connect"):
            api = self._questions.newest_api(min(deadline, self.deadlines.answer))
        with self._making:
            if self._client is None:
                self._client = connect(self.endpoint, self.deadlines, api)
        self._client.allow(deadline)
        with translated(self.endpoint, tried):
            return work(self._client)


async def _in_thread(work: Callable[[], _T], deadline: float | None) -> _T:
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
    # Not wait_for: on Python 3.11 it takes a cancellation that comes together with the answer for the answer.
    async with asyncio.timeout(deadline):
        return await asyncio.wrap_future(answer)


def _name(stream: int) -> str:
    return "stderr" if stream == 2 else "stdout"


def _not_started(node: str, tried: str, program: str, words: str) -> ProgramNotStarted:
    if "no such file or directory" in words or "executable file not found" in words:
        reason, code = f"there is no program {program} in it", _NO_PROGRAM
    else:
        reason, code = f"{program} can't be run: {words.rpartition(': exec: ')[2]}", _NO_RIGHT
    return ProgramNotStarted(node, tried, reason, "Name a program that the instance's image has", exit_code=code)


def _words(options: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in sorted(options.items())) or "none"


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
