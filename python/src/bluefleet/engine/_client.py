"""docker-py, tamed: deadlines, trust and errors. The only module of the project that imports `docker`.

Everything here blocks; it runs in threads that `_engine` starts and may abandon.
"""

import json
import socket
import ssl
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from typing import Any, Protocol, cast

import requests.exceptions
import urllib3.exceptions
from docker.api.client import APIClient
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from bluefleet.engine._adapters import SshAdapter, TrustingAdapter
from bluefleet.engine._endpoint import Deadlines, Endpoint
from bluefleet.engine._errors import ContainerMissing, EngineError, ImageMissing, NameTaken
from bluefleet.engine._faults import NobodyThere, fault, named
from bluefleet.engine._trust import check_files

_CONFLICT = 409


class DockerApi(Protocol):
    """The part of docker-py this project uses, with types."""

    def allow(self, seconds: float) -> None: ...
    def create_container_from_config(self, config: Mapping[str, Any], name: str) -> dict[str, Any]: ...
    def start(self, container: str) -> None: ...
    def stop(self, container: str, timeout: int) -> None: ...
    def kill(self, container: str) -> None: ...
    def remove_container(self, container: str, *, force: bool) -> None: ...
    def images(self) -> list[dict[str, Any]]: ...
    def inspect_volume(self, name: str) -> dict[str, Any]: ...
    def create_volume(
        self, name: str, driver: str, driver_opts: dict[str, str], labels: dict[str, str]
    ) -> dict[str, Any]: ...
    def remove_image(self, image: str) -> object: ...
    def inspect_image(self, image: str) -> dict[str, Any]: ...
    def pull(
        self, repository: str, tag: str, *, stream: bool, decode: bool, auth_config: Mapping[str, str] | None
    ) -> Iterator[dict[str, Any]]: ...
    def log_frames(
        self, container: str, *, follow: bool, since: float, tail: int | None
    ) -> Iterator[tuple[int, bytes]]: ...
    def event_lines(self, filters: Mapping[str, Sequence[str]]) -> Iterator[bytes]: ...
    def exec_create(
        self, container: str, cmd: Sequence[str], *, stdin: bool, tty: bool, user: str
    ) -> dict[str, Any]: ...
    def exec_frames(self, identity: str) -> Iterator[tuple[int, bytes]]: ...
    def exec_connect(self, identity: str, *, tty: bool) -> AbstractContextManager[tuple[Any, bytes]]: ...
    def end_streams(self) -> None: ...
    def exec_resize(self, exec_id: str, height: int, width: int) -> None: ...
    def exec_inspect(self, exec_id: str) -> dict[str, Any]: ...
    def cut(self) -> None: ...
    def close(self) -> None: ...


class _Client(APIClient):
    def __init__(self, endpoint: Endpoint, deadlines: Deadlines, api: str) -> None:
        self._connect = deadlines.connect
        self._allowed = threading.local()
        super().__init__(
            base_url=endpoint.url,
            # The newest that both sides speak.
            version=min(api, DEFAULT_DOCKER_API_VERSION, key=_order),
            use_ssh_client=True,
        )
        if endpoint.certificate is not None:
            self.mount("https://", TrustingAdapter(endpoint.certificate))
        self._ssh = SshAdapter(endpoint.url, deadlines.connect) if endpoint.url.startswith("ssh:") else None
        if self._ssh is not None:
            self.mount(self.base_url, self._ssh)
        self._streams: list[requests.Response] = []
        # With it, REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE would replace the engine CA, and a proxy could be dialled.
        self.trust_env = False

    def allow(self, seconds: float) -> None:
        """How long this thread's calls may wait for an answer; what docker-py has in mind for some of them is not asked."""
        self._allowed.seconds = seconds

    def _set_request_timeout(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        seconds: float = self._allowed.seconds
        return {**kwargs, "timeout": (min(self._connect, seconds), seconds)}

    def log_frames(
        self, container: str, *, follow: bool, since: float, tail: int | None
    ) -> Iterator[tuple[int, bytes]]:
        """What it wrote: 1 for stdout or 2 for stderr, and a line with its time."""
        wanted = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": int(follow)}
        return self._frames_of(
            "_get", f"/containers/{container}/logs", params={**wanted, "since": f"{since:.9f}", "tail": _all(tail)}
        )

    def event_lines(self, filters: Mapping[str, Sequence[str]]) -> Iterator[bytes]:
        """What happens from now on, each as a line of JSON; the first, empty one says that it is listened to."""
        return _lines(self._stream_of("_get", "/events", params={"filters": json.dumps(filters)}))

    def exec_frames(self, identity: str) -> Iterator[tuple[int, bytes]]:
        """Run what `exec_create` made, and what it writes; ends when it ends."""
        return self._frames_of("_post_json", f"/exec/{identity}/start", data={"Tty": False, "Detach": False})

    @contextmanager
    def exec_connect(self, identity: str, *, tty: bool) -> Generator[tuple[Any, bytes], None, None]:
        """Run what `exec_create` made: the socket to it, and what was read of it already, together with the headers."""
        untyped = cast("Any", self)
        response = untyped._post_json(
            untyped._url(f"/exec/{identity}/start"),
            headers={"Connection": "Upgrade", "Upgrade": "tcp"},
            data={"Tty": tty, "Detach": False},
            stream=True,
        )
        untyped._raise_for_status(response)
        buffered = response.raw._fp.fp
        link = getattr(buffered.raw, "_sock", buffered.raw)
        link.setblocking(False)
        try:
            early = bytes(buffered.peek())
        except (ssl.SSLWantReadError, BlockingIOError):
            early = b""
        with closing(link), closing(response):
            yield link, early

    def _frames_of(self, method: str, path: str, **options: Any) -> Iterator[tuple[int, bytes]]:
        return _frames(self._stream_of(method, path, **options))

    def _stream_of(self, method: str, path: str, **options: Any) -> requests.Response:
        # docker-py's own readers wait for ever for an engine that went away; what they are made of has no types.
        untyped = cast("Any", self)
        response = cast("requests.Response", getattr(untyped, method)(untyped._url(path), stream=True, **options))
        untyped._raise_for_status(response)
        self._streams.append(response)
        return response

    def end_streams(self) -> None:
        """What is being read ends now, in whatever thread that is: nobody wants it any more."""
        for response in self._streams:
            with suppress(OSError, AttributeError):
                link = cast("Any", response.raw)._fp.fp.raw._sock
                socket.socket.shutdown(link, socket.SHUT_RDWR)

    def cut(self) -> None:
        """End the processes that this connection is made of, if it is: nobody waits for it any more."""
        if self._ssh is not None:
            self._ssh.cut()


def _all(tail: int | None) -> int | str:
    return "all" if tail is None else tail


def _frames(response: requests.Response) -> Iterator[tuple[int, bytes]]:
    """Docker's own framing: a byte for the stream, three of nothing, four for the length."""
    with closing(response), _in_requests_words():
        while header := response.raw.read(8):
            yield header[0], response.raw.read(int.from_bytes(header[4:8], "big"))


def _lines(response: requests.Response) -> Iterator[bytes]:
    rest = b""
    # Whoever listens may be gone after the first line already.
    with closing(response), _in_requests_words():
        yield b""
        for chunk in response.raw.stream():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line for line in lines if line.strip())


@contextmanager
def _in_requests_words() -> Generator[None, None, None]:
    try:
        yield
    except urllib3.exceptions.TimeoutError as error:
        raise requests.exceptions.ReadTimeout from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ConnectionError(error) from error


def connect(endpoint: Endpoint, deadlines: Deadlines, api: str) -> DockerApi:
    """A client for the engine, whose newest API is known. Nothing is sent yet."""
    check_files(endpoint)
    with translated(endpoint, "connect"):
        return cast("DockerApi", _Client(endpoint, deadlines, api))


def volume_options(client: DockerApi, name: str) -> dict[str, str] | None:
    """The options that the volume was made with; None when there is no such volume."""
    try:
        return client.inspect_volume(name)["Options"] or {}
    except NotFound:
        return None


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@contextmanager
def translated(endpoint: Endpoint, tried: str) -> Generator[None, None, None]:
    """docker-py's and requests' errors as this package's, with words a person can act on."""
    try:
        yield
    except EngineError:
        raise
    except (DockerException, requests.exceptions.RequestException, OSError) as error:
        raise _named(endpoint, tried, error) from error


def _named(endpoint: Endpoint, tried: str, error: Exception) -> EngineError:
    if isinstance(error, APIError):
        return _answered(endpoint.node, f"{tried} at {endpoint.url}", error)
    # requests' time-outs are no TimeoutError.
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return named(endpoint, tried, NobodyThere())
    if isinstance(error, requests.exceptions.Timeout):
        return named(endpoint, tried, TimeoutError())
    return named(endpoint, tried, error)


def _answered(node: str, tried: str, error: APIError) -> EngineError:
    words = str(error.explanation or error)
    # A registry that has no such manifest is to docker-py a thing that is not there, like any other.
    if isinstance(error, ImageNotFound) or (isinstance(error, NotFound) and tried.startswith("pull ")):
        remedy = "Check the digest, and that the registry answers and holds it; `bluefleet images` lists those on nodes"
        return ImageMissing(node, tried, words, remedy)
    if isinstance(error, NotFound):
        return ContainerMissing(node, tried, words, "Run `bluefleet apply`")
    if error.status_code == _CONFLICT and "already in use" in words:
        return NameTaken(node, tried, words, "Remove or rename the container that is in the way")
    return fault(node, tried, words)
