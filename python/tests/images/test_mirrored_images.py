"""Images that are published elsewhere, by digest: mirrored to the site's registry by the real skopeo, or taken as they are."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from image_registry import RegistryError
from role_files import load_role_file
from small_registry import SmallRegistry

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
PUSH = "Basic " + base64.b64encode(b"push:secret").decode()


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class SiteRegistry(BaseHTTPRequestHandler):
    """A registry that takes what user push brings: what one push needs of the protocol, and no more."""

    protocol_version = "HTTP/1.1"
    content: dict[str, bytes]
    tags: dict[str, str]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        wanted = self.path.rpartition("/")[2]
        digest = self.tags.get(wanted, wanted)
        if self.path.endswith("/tags/list"):
            self._answer(200, json.dumps({"tags": list(self.tags)}).encode())
        elif digest in self.content:
            kind = MANIFEST if "/manifests/" in self.path else "application/octet-stream"
            self._answer(200, self.content[digest], {"Content-Type": kind, "Docker-Content-Digest": digest})
        else:
            self._answer(200 if self.path == "/v2/" else 404)

    def do_POST(self) -> None:
        self._answer(202, headers={"Location": self.path})

    def do_PATCH(self) -> None:
        self.content["begun"] = self._given()
        self._answer(202, headers={"Location": self.path})

    def do_PUT(self) -> None:
        given = self._given()
        if "/manifests/" in self.path:
            self.tags[self.path.rpartition("/")[2]] = digest_of(given)
        else:
            given = given or self.content.pop("begun")
        self.content[digest_of(given)] = given
        self._answer(201, headers={"Docker-Content-Digest": digest_of(given)})

    def _given(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts: list[bytes] = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, code: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        allowed = self.headers.get("Authorization") == PUSH
        challenge = {} if allowed else {"WWW-Authenticate": 'Basic realm="site"'}
        self.send_response(code if allowed else 401)
        for name, value in {**(headers or {}), **challenge, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Tests are silent."""


@pytest.fixture
def site() -> Iterator[tuple[str, type[SiteRegistry]]]:
    """Address and content of the site's registry, which is empty."""
    handler = type("Mine", (SiteRegistry,), {"content": {}, "tags": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"127.0.0.1:{server.server_port}", handler
        server.shutdown()
        thread.join()


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallRegistry]:
    """Where the image is published, to whoever has this machine's login; it has no certificate."""
    registry = SmallRegistry("elsewhere", "published")
    login = base64.b64encode(b"pull:elsewhere").decode()
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {registry.address: {"auth": login}}}))
    settings = tmp_path / ".config" / "containers"
    settings.mkdir(parents=True)
    (settings / "registries.conf").write_text(f'[[registry]]\nlocation = "{registry.address}"\ninsecure = true\n')
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    monkeypatch.setenv("HOME", str(tmp_path))
    yield registry
    registry.close()


def asked(folder: Path, address: str, reference: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What the builder says at its end, and what it recorded, when the one image is published under this reference."""
    (folder / "password").write_text("secret\n")
    login = {"tls": False, "ca_file": "", "user": "push", "password_file": str(folder / "password")}
    order = {
        "state": "pushed",
        "repository": str(folder),
        "declared": {"versions": {"debian_suite": "none", "debian_release": "1"}, "images": {"mongo": {}}},
        "images": ["mongo"],
        "published": {"mongo": reference},
        "uids": {},
        **dict.fromkeys(("ca_bundle", "apt_mirror", "pip_index", "engine"), ""),
        "packages": [],
        "device_classes": [],
        "registry": {"address": address, **login},
        "ahead": False,
        "log_dir": str(folder / "builds"),
        "jobs": 1,
        "kept_tags": 3,
        "record": str(folder / "images.yml"),
    }
    load_role_file("image/builder/__main__.py").main(order)
    last: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return last | {"recorded": yaml.safe_load((folder / "images.yml").read_text())["site_images"]}


def test_a_published_image_is_mirrored_once_unchanged_and_hosts_take_the_copy(
    tmp_path: Path,
    site: tuple[str, type[SiteRegistry]],
    published: SmallRegistry,
    capsys: pytest.CaptureFixture[str],
) -> None:
    address, kept = site
    first = asked(tmp_path, address, published.reference, capsys)
    assert (first["changed"], first["pushed"]) == (True, ["mongo"])
    assert kept.tags == {published.digest[7:19]: published.digest}
    assert first["recorded"]["mongo"]["reference"] == f"{address}/bluefleet/mongo@{published.digest}"
    # Where it was published may be gone then.
    published.close()
    second = asked(tmp_path, address, published.reference, capsys)
    assert (second["changed"], second["pushed"]) == (False, [])
    assert second["recorded"] == first["recorded"]


def test_an_image_that_can_not_be_had_is_told_with_where_it_was_looked_for(
    tmp_path: Path,
    site: tuple[str, type[SiteRegistry]],
    published: SmallRegistry,
    capsys: pytest.CaptureFixture[str],
) -> None:
    absent = f"{published.address}/tiny@sha256:{'a' * 64}"
    with pytest.raises(
        RegistryError, match=f"image mongo: docker://{absent} could not be copied to docker://{site[0]}"
    ):
        asked(tmp_path, site[0], absent, capsys)
    assert not (tmp_path / "images.yml").exists()


def test_without_a_registry_hosts_take_it_from_where_it_is_published(
    tmp_path: Path, published: SmallRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (asked(tmp_path, "", published.reference, capsys) for _ in range(2))
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["pushed"] == []
    assert first["recorded"] == {
        "mongo": {
            "digest": published.digest,
            "published": published.reference,
            "reference": published.reference,
            "size": 0,
            "tag": published.digest[7:19],
        }
    }
    assert published.pulls == 0
