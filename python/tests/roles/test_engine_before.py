"""What a host with an engine of its own is told before a site touches it: stand-ins for its files and its engine's socket."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from types import ModuleType
from typing import Any

import pytest

from role_files import load_role_file

SITE = {"live-restore": True, "log-driver": "json-file", "log-opts": {"max-size": "20m", "max-file": "5"}}
URI = "https://download.docker.com/linux/debian"
SOURCE = {"uris": URI, "suites": "bookworm", "components": "stable", "signed_by": f"{URI}/gpg"}


class Engine(ThreadingUnixStreamServer):
    """As much of an engine as the module asks."""

    def __init__(self, path: Path) -> None:
        self.info: dict[str, Any] = {"ServerVersion": "28.0.1", "ContainersRunning": 0, "LiveRestoreEnabled": False}
        self.api = "1.48"
        super().__init__(str(path), Answers)


class Answers(BaseHTTPRequestHandler):
    server: Engine

    def address_string(self) -> str:
        return "module"

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        assert self.path == "/info"
        body = json.dumps(self.server.info).encode()
        self.send_response(200)
        self.send_header("Api-Version", self.server.api)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Host:
    """A host whose files are below a folder; nothing of it is the site's before a test says so."""

    def __init__(self, module: ModuleType, folder: Path) -> None:
        self.module, self.folder = module, folder

    def has(self, path: str, content: str | dict[str, Any]) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))

    def look(self, **more: Any) -> tuple[dict[str, Any], str]:
        """What is found, and what a person is told."""
        parameters: dict[str, Any] = {
            "daemon": json.dumps(SITE),
            "declared": [],
            "transport": ["hosts", "tlscacert", "insecure-registries"],
            "may_stop_containers": False,
            "least_api": "",
            "packages": ["docker-ce"],
            "source": {},
        }
        found, faults = self.module.look(parameters | more)
        return found, "\n".join(faults)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    module = load_role_file("docker_engine/library/engine_before.py")
    for name, path in {
        "DAEMON": "daemon.json",
        "DROP_INS": "drop-ins",
        "SOURCES": "apt",
        "SOCKET": "docker.sock",
    }.items():
        monkeypatch.setattr(module, name, str(tmp_path / path))
    return Host(module, tmp_path)


@pytest.fixture
def engine(host: Host) -> Iterator[Engine]:
    with Engine(host.folder / "docker.sock") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_host_without_an_engine_bears_one(host: Host) -> None:
    assert host.look(least_api="1.44", source=SOURCE) == ({"source_files": [], "old_drop_ins": []}, "")


def test_keys_that_would_be_lost_or_changed_are_named_without_their_values(host: Host) -> None:
    host.has("daemon.json", {"data-root": "/srv/engine", "live-restore": True, "log-opts": {"max-size": "1m"}})
    told = host.look()[1]
    assert "would lose or change data-root, log-opts: name them in docker_engine_daemon_options" in told
    assert "/srv/engine" not in told


def test_keys_that_are_declared_are_kept(host: Host) -> None:
    host.has("daemon.json", {"data-root": "/srv/engine", "dns": ["10.0.0.1"]})
    wanted = SITE | {"data-root": "/srv/engine", "dns": ["10.0.0.1", "10.0.0.2"]}
    assert host.look(daemon=json.dumps(wanted)) == ({"source_files": [], "old_drop_ins": []}, "")


def test_a_key_that_is_declared_may_change(host: Host) -> None:
    host.has("daemon.json", {"log-driver": "journald"})
    assert host.look(declared=["log-driver"])[1] == ""


def test_keys_of_the_transport_are_referred_to_the_variables_that_decide_them(host: Host) -> None:
    host.has("daemon.json", {"hosts": ["tcp://0.0.0.0:2375"], "insecure-registries": ["10.0.0.5:5000"]})
    told = host.look(declared=["hosts"])[1]
    assert "has hosts, insecure-registries, which docker_engine_transport" in told
    assert "docker_engine_daemon_options" not in told


def test_a_configuration_that_is_no_json_is_not_replaced(host: Host) -> None:
    host.has("daemon.json", '{"data-root": "/srv/engine",}')
    assert "can't be read as JSON" in host.look()[1]


def test_containers_that_would_stop_are_a_reason_to_stop_first(host: Host, engine: Engine) -> None:
    engine.info["ContainersRunning"] = 3
    told = host.look()[1]
    assert told.startswith("3 containers run here and would stop")
    assert "systemctl reload docker" in told
    assert "docker_engine_stop_containers: true" in told


def test_containers_may_stop_when_somebody_says_so(host: Host, engine: Engine) -> None:
    engine.info["ContainersRunning"] = 3
    assert host.look(may_stop_containers=True)[1] == ""


def test_containers_that_outlive_the_engine_are_no_reason(host: Host, engine: Engine) -> None:
    engine.info |= {"ContainersRunning": 3, "LiveRestoreEnabled": True}
    assert host.look()[1] == ""


@pytest.mark.parametrize("drop_in", ["zz-bluefleet.conf", "docker.conf"])
def test_an_engine_that_the_site_set_up_is_the_sites_to_change(host: Host, engine: Engine, drop_in: str) -> None:
    host.has(f"drop-ins/{drop_in}", "# Made by bluefleet; changes are overwritten.\n")
    host.has("daemon.json", {"max-concurrent-downloads": 7})
    engine.info["ContainersRunning"] = 3
    assert host.look()[1] == ""


def test_the_drop_in_under_its_former_name_is_found(host: Host) -> None:
    host.has("drop-ins/docker.conf", "# Made by bluefleet; changes are overwritten.\n[Service]\n")
    assert host.look()[0]["old_drop_ins"] == [str(host.folder / "drop-ins/docker.conf")]


def test_somebody_elses_drop_in_of_that_name_is_left_alone(host: Host) -> None:
    host.has("drop-ins/docker.conf", "[Service]\nEnvironment=HTTP_PROXY=http://proxy\n")
    host.has("daemon.json", {"data-root": "/srv/engine"})
    assert host.look()[0]["old_drop_ins"] == []
    assert "data-root" in host.look()[1]


@pytest.mark.parametrize(("api", "told"), [("1.43", "API 1.43, and a pod needs API 1.44"), ("1.44", ""), ("1.100", "")])
def test_an_engine_too_old_for_a_pod_is_refused_even_if_the_site_set_it_up(
    host: Host, engine: Engine, api: str, told: str
) -> None:
    host.has("drop-ins/zz-bluefleet.conf", "# Made by bluefleet; changes are overwritten.\n")
    engine.api = api
    said = host.look(least_api="1.44")[1]
    assert told in said
    assert bool(said) == bool(told)
    assert not said or said.endswith("apt-get install --only-upgrade docker-ce`")


ONE_LINE = f"deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] {URI}/ bookworm stable # Docker's\n"
DEB822 = f"# Docker's\nTypes: deb\nURIs: {URI}\nSuites: bookworm\nComponents: stable test\nSigned-By:\n -----BEGIN\n .\n -----END\n"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("sources.list", f"deb http://deb.debian.org/debian bookworm main\n{ONE_LINE}"),
        ("sources.list.d/docker.list", ONE_LINE),
        ("sources.list.d/docker.sources", f"Types: deb\nURIs: http://other\nSuites: /\n\n{DEB822}"),
    ],
    ids=["sources.list", "list", "sources"],
)
def test_a_package_source_that_the_host_has_is_found_in_its_file(host: Host, file: str, text: str) -> None:
    host.has(f"apt/{file}", text)
    found, told = host.look(source=SOURCE)
    assert (found["source_files"], told) == ([str(host.folder / "apt" / file)], "")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("bluefleet-engine.sources", DEB822),
        ("docker.list", f"# {ONE_LINE}"),
        ("docker.list.save", ONE_LINE),
        ("docker.list", ONE_LINE.replace("bookworm", "trixie")),
        ("docker.sources", f"{DEB822}Enabled: no\n"),
    ],
    ids=["the site's own", "commented out", "not read by apt", "of another suite", "disabled"],
)
def test_what_is_not_the_same_source_is_not_taken_for_it(host: Host, file: str, text: str) -> None:
    host.has(f"apt/sources.list.d/{file}", text)
    assert host.look(source=SOURCE) == ({"source_files": [], "old_drop_ins": []}, "")


def test_a_source_that_gives_a_part_of_it_is_named(host: Host) -> None:
    host.has("apt/sources.list.d/docker.list", ONE_LINE.replace("stable", "test"))
    assert "docker.list names a part of docker_engine_apt_source" in host.look(source=SOURCE)[1]
