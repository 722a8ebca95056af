"""Fixtures around this machine's own Docker engine. Containers are looked at from outside, with the docker command."""

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bluefleet.fleet import Settings
from bluefleet.model import Site
from small_registry import SmallRegistry
from tls_front import Authority, Fronts

SOCKET = "/var/run/docker.sock"
PASSWORD = "a password for pulls"
MakeSite = Callable[..., Site]


def docker(*arguments: str) -> str:
    """What `docker …` prints."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


class Seen:
    """The containers of one site, as anybody with access to the engine sees them."""

    def __init__(self, site: str) -> None:
        self.site = site

    def ids(self) -> dict[str, str]:
        """Container ids by name, running ones."""
        lines = docker(
            "ps", "--no-trunc", "--filter", f"label=org.bluefleet.site={self.site}", "--format", "{{.Names}} {{.ID}}"
        )
        return dict(line.split(" ") for line in lines.splitlines())

    def inspect(self, name: str) -> dict[str, Any]:
        """All the engine knows of one container."""
        return json.loads(docker("inspect", name))[0]

    def remove_all(self) -> None:
        """Remove what a test left."""
        ids = docker("ps", "-aq", "--filter", f"label=org.bluefleet.site={self.site}").split()
        if ids:
            docker("rm", "--force", *ids)


@pytest.fixture
def word() -> str:
    """A word that no other test uses: names of containers are the engine's own, for everybody."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def seen(word: str) -> Iterator[Seen]:
    """The site's containers; removed after the test."""
    found = Seen(word)
    yield found
    found.remove_all()


@pytest.fixture
def registry(word: str) -> Iterator[SmallRegistry]:
    """A registry with one image that no engine has yet."""
    found = SmallRegistry(PASSWORD, word)
    yield found
    found.close()
    listed = docker("images", "--digests", "--format", "{{.Digest}} {{.ID}}")
    for line in listed.splitlines():
        digest, identity = line.split()
        if digest == found.digest:
            docker("rmi", "--force", identity)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A manager's folders with a client certificate for engines and the registry's password."""
    found = Settings(etc=tmp_path / "etc", lib=tmp_path / "lib")
    found.engine_certificate.mkdir(parents=True)
    authority = Authority(tmp_path / "ca", "engines")
    authority.sign(tmp_path / "ca" / "manager", [])
    for source, name in (
        (authority.file, "ca"),
        (tmp_path / "ca/manager.crt", "cert"),
        (tmp_path / "ca/manager.key", "key"),
    ):
        (found.engine_certificate / f"{name}.pem").write_bytes(source.read_bytes())
    authority.sign(tmp_path / "ca" / "server", [f"127.0.0.{number}" for number in range(1, 30)])
    found.registry_password.parent.mkdir(parents=True)
    found.registry_password.write_text(PASSWORD + "\n")
    return found


@pytest.fixture
def fronts() -> Iterator[Fronts]:
    """Places where engines answer."""
    found = Fronts(SOCKET)
    yield found
    found.close()


@pytest.fixture
def make_site(word: str, registry: SmallRegistry, settings: Settings, fronts: Fronts, tmp_path: Path) -> MakeSite:
    """A site whose nodes are all this machine's engine, at one loopback address each; `hung` ones never answer."""
    server, authority = tmp_path / "ca" / "server", tmp_path / "ca" / "engines.crt"
    places: dict[str, tuple[str, int]] = {}

    def make(nodes: dict[str, list[dict[str, Any]]], hung: tuple[str, ...] = (), **more: Any) -> Site:
        for name in [*nodes, *hung]:
            if name not in places:
                address = f"127.0.0.{11 + len(places)}"
                front = fronts.hung(address) if name in hung else fronts.engine(address, server, authority)
                places[name] = (front.address, front.port)
        declared = [
            {"name": name, "address": places[name][0], "port": places[name][1], "instances": nodes.get(name, [])}
            for name in [*nodes, *hung]
        ]
        image = {"reference": registry.reference, "digest": registry.digest}
        content = {
            "schema_version": 1,
            "site": word,
            "hosts": {
                "manager": {"address": "127.0.0.1", "groups": ["manager"]},
                **{node["name"]: {"address": node["address"], "groups": ["nodes"]} for node in declared},
            },
            "registry": {"address": registry.address, "tls": False},
            "images": {"tiny": image},
            "nodes": declared,
            **more,
        }
        return Site.model_validate(content)

    return make
