"""What the registry has is asked with a login, and an image that is published elsewhere is known by its digest."""

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from image_plan import Image
from image_registry import Registry, RegistryError, families, mirror_tag

DIGEST = "sha256:" + "a" * 64


class Answers(BaseHTTPRequestHandler):
    """A registry that has bluefleet/ioc:1 and nothing else, for user push with password secret."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        allowed = self.headers["Authorization"] == "Basic " + base64.b64encode(b"push:secret").decode()
        known = self.path == "/v2/bluefleet/ioc/manifests/1"
        self.send_response(401 if not allowed else 200 if known else 404)
        self.send_header("Content-Length", "0")
        if allowed and known:
            self.send_header("Docker-Content-Digest", DIGEST)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Tests are silent."""


@pytest.fixture
def address() -> Iterator[str]:
    """Where that registry answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def registry(address: str, folder: Path, written: str = "secret") -> Registry:
    """The registry at an address, with a password file as a person may have written it."""
    (folder / "password").write_text(written + "\n")
    return Registry(address, tls=False, ca_file="", user="push", password_file=str(folder / "password"))


def image(name: str, tag: str) -> Image:
    return Image(name, tag, (), {}, {}, Path("/nowhere"), internal=False, space_mb=0)


def test_only_images_with_this_very_tag_are_there(address: str, tmp_path: Path) -> None:
    found = registry(address, tmp_path).digests([image("ioc", "1"), image("kafka", "1")])
    assert found == {"ioc": DIGEST}
    assert registry(address, tmp_path).digests([image("ioc", "2")]) == {}


def test_hosts_refer_to_an_image_by_digest(tmp_path: Path) -> None:
    assert registry("manager:5000", tmp_path).reference("ioc", DIGEST) == f"manager:5000/bluefleet/ioc@{DIGEST}"


def test_a_refused_login_names_the_user_and_the_password_file(address: str, tmp_path: Path) -> None:
    with pytest.raises(
        RegistryError, match=r"answers 401 Unauthorized to user 'push' .* its password is in .*password"
    ):
        registry(address, tmp_path, "wrong").digests([image("ioc", "1")])


def test_a_silent_registry_is_told_with_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"127\.0\.0\.1:9 does not answer: .*--tags registry"):
        registry("127.0.0.1:9", tmp_path).digests([image("ioc", "1")])


def test_a_site_without_a_registry_has_none() -> None:
    assert Registry.of({"address": "", "tls": True, "ca_file": "", "user": "push", "password_file": ""}) is None


def test_a_published_image_is_mirrored_under_the_beginning_of_its_digest() -> None:
    assert mirror_tag("mongo", f"mongo@{DIGEST}") == "a" * 12


@pytest.mark.parametrize("reference", ["mongo", "mongo:8", "mongo@sha256:abc"])
def test_a_published_image_without_digest_is_refused(reference: str) -> None:
    with pytest.raises(RegistryError, match="has no digest; write it as"):
        mirror_tag("mongo", reference)


def test_images_that_share_layers_are_copied_one_after_another(tmp_path: Path) -> None:
    parents = {
        "kafka": ("jre", 250),
        "tiled": ("libraries", 1200),
        "mongo": ("jre", 100),
        "bluesky": ("libraries", 200),
    }
    images = [
        Image(name, "1", (), {"PARENT": parent}, {}, tmp_path, internal=False, space_mb=space)
        for name, (parent, space) in parents.items()
    ]
    assert [[image.name for image in family] for family in families(images)] == [
        ["tiled", "bluesky"],
        ["kafka", "mongo"],
    ]
