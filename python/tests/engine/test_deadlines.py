"""Engines that are off, hang, or show or ask for the wrong certificate: each has its name, in time."""

import asyncio
import contextlib
import json
import shutil
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bluefleet.engine import (
    ClientCertificate,
    Deadlines,
    Endpoint,
    Engine,
    EngineError,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    TransferTimeout,
)
from bluefleet.fleet import Settings
from real_engine import SOCKET
from tls_front import Authority, Fronts

QUICK = Deadlines(connect=1.0, answer=1.0)


def ask(endpoint: Endpoint, deadlines: Deadlines = QUICK) -> EngineError:
    """The error that a question to that engine ends with."""

    async def asked() -> None:
        async with Engine(endpoint, deadlines) as engine:
            await engine.observe({"site": "nobody"})

    with pytest.raises(EngineError) as caught:
        asyncio.run(asked())
    return caught.value


def over_tls(settings: Settings, address: str, port: int) -> Endpoint:
    return Endpoint("node1", f"https://{address}:{port}", ClientCertificate.in_folder(settings.engine_certificate))


def test_an_engine_that_is_off_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = ask(Endpoint("node1", f"http://127.0.0.1:{unused.getsockname()[1]}"))
    assert isinstance(error, EngineUnreachable)
    assert "nothing listens there" in error.reason


def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    error = ask(Endpoint("node1", "http://no-such-host.invalid:2375"))
    assert isinstance(error, EngineUnreachable)
    assert "does not resolve" in error.reason


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_hung_engine_is_reported_within_its_deadline(scheme: str, fronts: Fronts, settings: Settings) -> None:
    front = fronts.hung("127.0.0.1")
    tls = over_tls(settings, front.address, front.port)
    endpoint = tls if scheme == "https" else Endpoint("node1", f"http://{front.address}:{front.port}")
    begin = time.monotonic()
    error = ask(endpoint)
    assert isinstance(error, EngineTimeout)
    assert time.monotonic() - begin < 2.0


def test_a_hung_engine_is_not_waited_for_twice(fronts: Fronts) -> None:
    front = fronts.hung("127.0.0.1")

    async def twice() -> float:
        async with Engine(Endpoint("node1", f"http://{front.address}:{front.port}"), QUICK) as engine:
            with pytest.raises(EngineTimeout):
                await engine.observe({"site": "nobody"})
            begin = time.monotonic()
            with pytest.raises(EngineTimeout):
                await engine.observe({"site": "nobody"})
            return time.monotonic() - begin

    assert asyncio.run(twice()) < 0.1


def test_an_engine_that_drips_its_answer_is_cut_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            try:
                while True:
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.1)
            finally:
                writer.close()

        async def asked() -> float:
            dripping = await asyncio.start_server(drip, sock=server.dup())
            begin = time.monotonic()
            async with Engine(Endpoint("node1", f"http://127.0.0.1:{port}"), QUICK) as engine:
                with pytest.raises(EngineTimeout):
                    await engine.observe({"site": "nobody"})
            dripping.close()
            return time.monotonic() - begin

        assert asyncio.run(asked()) < 2.0


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_engine_that_drips_its_answer_keeps_no_thread_and_no_connection(
    scheme: str, settings: Settings, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca/server.crt", tmp_path / "ca/server.key")
    gone = threading.Event()

    def drip(server: socket.socket) -> None:
        link = server.accept()[0]
        link = context.wrap_socket(link, server_side=True) if scheme == "https" else link
        with link, contextlib.suppress(OSError):
            link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while True:
                link.sendall(b" ")
                time.sleep(0.02)
        gone.set()

    others = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, args=[server], daemon=True).start()
        port = server.getsockname()[1]
        tls = over_tls(settings, "127.0.0.1", port)
        endpoint = tls if scheme == "https" else Endpoint("node1", f"http://127.0.0.1:{port}")
        assert isinstance(ask(endpoint, Deadlines(connect=0.3, answer=0.3)), EngineTimeout)
        at_work = {one for one in threading.enumerate() if one.name == "engine"} - others
        for thread in at_work:
            thread.join(5)
        assert not any(thread.is_alive() for thread in at_work)
        assert gone.wait(5)


class _Slow(BaseHTTPRequestHandler):
    """An engine that is well, but whose registry and logs are slow."""

    def do_GET(self) -> None:
        self._answer({"/version": {"Version": "1", "ApiVersion": "1.41"}}.get(self.path, []))

    def do_DELETE(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b'{"status": "Downloading"}\n')
                time.sleep(0.1)

    def _answer(self, content: object) -> None:
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments: object) -> None:
        """Tests are quiet."""


def test_an_image_that_is_long_on_its_way_leaves_its_engine_usable() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    endpoint = Endpoint("node1", f"http://127.0.0.1:{server.server_port}")

    async def pulled() -> None:
        async with Engine(endpoint, Deadlines(connect=1.0, answer=1.0, change=1.0, pull=0.3)) as engine:
            with pytest.raises(TransferTimeout, match=r"node1: pull place/tiny: not done within 0\.3 s"):
                await engine.ensure_image("place/tiny@sha256:0", "sha256:0")
            await engine.remove("another")

    try:
        asyncio.run(pulled())
    finally:
        server.shutdown()
        server.server_close()


def test_an_engine_of_another_authority_is_refused(fronts: Fronts, settings: Settings, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger", "stranger")
    stranger.sign(tmp_path / "stranger" / "server", ["127.0.0.1"])
    front = fronts.engine("127.0.0.1", tmp_path / "stranger/server", tmp_path / "ca/engines.crt")
    error = ask(over_tls(settings, front.address, front.port))
    assert isinstance(error, EngineRefused)
    assert "the engine's certificate was refused" in error.reason


def test_an_engine_with_an_expired_certificate_is_refused(fronts: Fronts, settings: Settings, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "own", "own")
    authority.sign(tmp_path / "own" / "server", ["127.0.0.1"], expired=True)
    shutil.copy(authority.file, settings.engine_certificate / "ca.pem")
    front = fronts.engine("127.0.0.1", tmp_path / "own/server", tmp_path / "ca/engines.crt")
    error = ask(over_tls(settings, front.address, front.port))
    assert isinstance(error, EngineRefused)
    assert "expired" in error.reason


def test_an_engine_that_does_not_know_the_manager_refuses_it(
    fronts: Fronts, settings: Settings, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "stranger", "stranger")
    front = fronts.engine("127.0.0.1", tmp_path / "ca/server", stranger.file)
    error = ask(over_tls(settings, front.address, front.port))
    assert isinstance(error, EngineRefused)
    assert "does not know the authority" in error.reason


def test_a_key_that_is_not_there_is_refused(fronts: Fronts, settings: Settings, tmp_path: Path) -> None:
    front = fronts.engine("127.0.0.1", tmp_path / "ca/server", tmp_path / "ca/engines.crt")
    (settings.engine_certificate / "key.pem").unlink()
    error = ask(over_tls(settings, front.address, front.port))
    assert "key.pem" in error.reason


def test_the_environment_does_not_replace_the_engine_authority(
    fronts: Fronts, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Authority(tmp_path / "other", "other").file
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(variable, str(other))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    front = fronts.engine("127.0.0.1", tmp_path / "ca/server", tmp_path / "ca/engines.crt")

    async def version() -> str:
        async with Engine(over_tls(settings, front.address, front.port)) as engine:
            return (await engine.observe({"site": "nobody"})).version

    assert asyncio.run(version())


def test_the_unix_socket_is_an_engine_as_well() -> None:
    async def version() -> str:
        async with Engine(Endpoint("here", f"unix://{SOCKET}")) as engine:
            return (await engine.observe({"site": "nobody"})).version

    assert asyncio.run(version())
