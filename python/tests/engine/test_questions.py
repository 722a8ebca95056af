"""Questions go over few connections, in an API that both sides speak, and no engine is asked for what it says anyway."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bluefleet.engine import ClientCertificate, Deadlines, Endpoint, Engine, EngineFault, EngineUnreachable
from bluefleet.engine._questions import Questions
from bluefleet.fleet import Settings
from tls_front import Fronts

CREATED = {"Created": "2026-11-20T10:00:00Z"}
# Seconds after which something hangs; it is a matter of milliseconds.
PATIENCE = 30


class Peculiar(ThreadingHTTPServer):
    """An engine that is told what to say of itself, what to speak and whether to close what it has answered over."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.says, self.speaks, self.closes = "Docker/99.1 (linux)", "1.41", False
        self.words = b""
        self.asked: list[str] = []
        self.containers: list[str] = []
        # What it has to say of one of them waits for this.
        self.told = threading.Event()
        self.closed = threading.Event()
        self.endpoint = Endpoint("node1", f"http://127.0.0.1:{self.server_port}")

    def shutdown_request(self, request: object) -> None:
        super().shutdown_request(request)  # type: ignore[arg-type]
        self.closed.set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Peculiar

    def version_string(self) -> str:
        return self.server.says

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        _, api, place = self.path.split("/", 2)
        if api != f"v{self.server.speaks}":
            self._answer(400, {"message": f"client version {api} is too old"})
        elif place == "version":
            self._answer(200, {"Version": "7.1"})
        elif place == "networks/bridge":
            self._answer(200, CREATED)
        elif place.startswith("images"):
            self._answer(500, {"message": "no space left"})
        elif place.startswith("containers/json"):
            self._answer(200, [{"Id": name} for name in self.server.containers])
        elif place.startswith("containers/"):
            self.server.told.wait(PATIENCE)
            self._answer(404, {"message": "no such container"})
        else:
            self._answer(200, [])
        self.close_connection = self.server.closes

    def handle_one_request(self) -> None:
        # Whoever gave it up is gone.
        with suppress(ConnectionError):
            super().handle_one_request()

    def _answer(self, status: int, content: object) -> None:
        text = self.server.words or json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Api-Version", self.server.speaks)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def peculiar() -> Iterator[Peculiar]:
    server = Peculiar()
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def version(engine: Peculiar) -> str:
    async def asked() -> str:
        async with Engine(engine.endpoint) as found:
            return (await found.observe({"site": "nobody"})).version

    return asyncio.run(asked())


def test_an_engine_tells_its_version_with_any_answer(peculiar: Peculiar) -> None:
    assert version(peculiar) == "99.1"
    assert len(peculiar.asked) == 1


def test_what_does_not_tell_its_version_is_asked_for_it(peculiar: Peculiar) -> None:
    peculiar.says = "Libpod/5.4.2 (linux)"
    assert version(peculiar) == "7.1"


def test_an_engine_that_speaks_the_oldest_api_no_more_is_asked_in_its_own(peculiar: Peculiar) -> None:
    peculiar.speaks = "1.99"
    assert version(peculiar) == "99.1"
    assert [path.split("/")[1] for path in peculiar.asked] == ["v1.41", "v1.99"]


def test_a_connection_that_the_engine_has_closed_is_made_anew(peculiar: Peculiar) -> None:
    peculiar.closes = True

    async def twice() -> list[str]:
        async with Engine(peculiar.endpoint) as found:
            first = await found.started()
            await asyncio.to_thread(peculiar.closed.wait, PATIENCE)
            return [first, await found.started()]

    assert asyncio.run(twice()) == [CREATED["Created"]] * 2


def test_an_error_of_the_engine_is_told_in_its_words(peculiar: Peculiar) -> None:
    async def asked() -> None:
        async with Engine(peculiar.endpoint) as found:
            await found.images()

    with pytest.raises(EngineFault, match=r"list its images at .*: no space left"):
        asyncio.run(asked())


def test_what_is_no_engine_is_told_apart(peculiar: Peculiar) -> None:
    peculiar.words = b"<html>"
    with pytest.raises(EngineUnreachable, match=r"what answers there is no engine: .*<html>"):
        version(peculiar)


def test_an_engine_that_was_given_up_is_asked_no_more(peculiar: Peculiar) -> None:
    peculiar.containers = ["one", "another"]
    others = set(threading.enumerate())

    async def given_up() -> set[threading.Thread]:
        async with Engine(peculiar.endpoint, Deadlines(answer=PATIENCE)) as engine:
            asking = asyncio.create_task(engine.observe({"site": "nobody"}))
            while len(peculiar.asked) < 2:
                await asyncio.sleep(0.01)
            asking.cancel()
        return {one for one in threading.enumerate() if one.name == "engine"} - others

    at_work = asyncio.run(given_up())
    peculiar.told.set()
    for thread in at_work:
        thread.join(PATIENCE)
    assert [path.partition("?")[0] for path in peculiar.asked] == [
        "/v1.41/containers/json",
        "/v1.41/containers/one/json",
    ]


def test_no_question_is_sent_after_the_end(peculiar: Peculiar) -> None:
    questions = Questions(peculiar.endpoint, Deadlines())
    assert questions.get("/networks/bridge", PATIENCE) == CREATED
    questions.close()
    with pytest.raises(ConnectionAbortedError):
        questions.get("/networks/bridge", PATIENCE)
    assert len(peculiar.asked) == 1


def test_who_only_asks_waits_for_no_import_of_what_changes_engines(peculiar: Peculiar) -> None:
    code = f"""
import asyncio, sys
import bluefleet.fleet
from bluefleet.engine import Endpoint, Engine

async def asked():
    async with Engine(Endpoint("node1", {peculiar.endpoint.url!r})) as engine:
        await engine.observe({{"site": "nobody"}})

asyncio.run(asked())
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert not {"docker", "requests", "urllib3"} & set(done.stdout.split())


def test_all_questions_to_an_engine_go_over_the_connection_that_reached_it(
    fronts: Fronts, settings: Settings, tmp_path: Path
) -> None:
    front = fronts.engine("127.0.0.1", tmp_path / "ca/server", tmp_path / "ca/engines.crt")
    files = ClientCertificate.in_folder(settings.engine_certificate)

    async def some() -> str:
        async with Engine(Endpoint("node1", f"https://127.0.0.1:{front.port}", files), Deadlines()) as engine:
            await engine.reach()
            await engine.volumes()
            return (await engine.observe({"site": "nobody"})).version

    assert asyncio.run(some())
    assert fronts.connections == 1
