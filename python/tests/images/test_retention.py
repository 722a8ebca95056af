"""What the registry keeps of an image after a push: the newest tags and what the site uses."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from image_registry import Registry, RegistryError


def digest(tag: str) -> str:
    return "sha256:" + hashlib.sha256(tag.encode()).hexdigest()


class Repository(ThreadingHTTPServer):
    """A registry with bluefleet/ioc; `tags` are its tags with the day each was built on and the image it names."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.tags = {f"t{day}": (day, f"t{day}") for day in (3, 1, 5, 2, 4)}
        self.deletes = 202


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Repository

    def do_GET(self) -> None:
        last = self.path.rpartition("/")[2]
        if self.path == "/v2/bluefleet/ioc/tags/list":
            self.answer(200, {"tags": list(self.server.tags)})
        elif "/manifests/" in self.path:
            self.answer(200, {"config": {"digest": f"config-{last}"}}, digest(self.server.tags[last][1]))
        else:
            day, _ = self.server.tags[last.removeprefix("config-")]
            self.answer(200, {"created": f"2026-11-{day:02}T00:00:00Z"})

    def do_DELETE(self) -> None:
        gone = self.path.rpartition("/")[2]
        if self.server.deletes == 202:
            self.server.tags = {tag: each for tag, each in self.server.tags.items() if digest(each[1]) != gone}
        self.answer(self.server.deletes, {})

    def answer(self, code: int, content: dict[str, object], named: str = "") -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", named)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are silent."""


@pytest.fixture
def there() -> Iterator[Repository]:
    with Repository() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def registry(there: Repository, tmp_path: Path) -> Registry:
    (tmp_path / "password").write_text("secret")
    address = f"127.0.0.1:{there.server_port}"
    return Registry(address, tls=False, ca_file="", user="push", password_file=str(tmp_path / "password"))


def test_the_newest_stay_and_the_others_go(there: Repository, registry: Registry) -> None:
    assert registry.forget_old(["ioc"], 3, []) == ["ioc:t2", "ioc:t1"]
    assert set(there.tags) == {"t5", "t4", "t3"}


def test_what_the_site_uses_stays_however_old(there: Repository, registry: Registry) -> None:
    registry.forget_old(["ioc"], 3, [digest("t1")])
    assert set(there.tags) == {"t5", "t4", "t3", "t1"}


def test_a_new_tag_of_old_content_keeps_it(there: Repository, registry: Registry) -> None:
    there.tags["t6"] = (6, "t1")
    registry.forget_old(["ioc"], 3, [])
    assert set(there.tags) == {"t6", "t5", "t4", "t1"}


def test_a_registry_that_may_delete_nothing_is_left_as_it_is(there: Repository, registry: Registry) -> None:
    there.deletes = 405
    registry.forget_old(["ioc"], 3, [])
    assert len(there.tags) == 5


def test_a_registry_that_refuses_is_named(there: Repository, registry: Registry) -> None:
    there.deletes = 401
    with pytest.raises(RegistryError, match=f"{registry.address} answers 401"):
        registry.forget_old(["ioc"], 3, [])
