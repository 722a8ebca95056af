"""The pods of the laboratory that is up: secrets stay in their files, the edge passes what it should, the proof can fail."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import httpx
import pytest
from lab_door import ADDRESSES, LAB, Converge, bluefleet, on, trust

from patience import PATIENCE

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

PODS = {"manager": "acquisition", "data": "data"}


def secrets() -> dict[str, str]:
    """All secrets of the site."""
    return {path.name: path.read_text().strip() for path in (LAB / ".state" / "secrets").iterdir() if path.is_file()}


@pytest.mark.parametrize("host", PODS)
def test_no_secret_is_in_docker_inspect_in_arguments_or_in_a_log(host: str) -> None:
    told = {
        "docker inspect": on(host, "docker inspect $(docker ps -aq)"),
        "arguments": on(host, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"),
        "logs": on(host, "for each in $(docker ps -aq); do docker logs $each 2>&1; done"),
        "compose.yml": on(host, f"cat /etc/bluefleet/pods/{PODS[host]}/compose.yml"),
    }
    found = [(name, where) for name, secret in secrets().items() for where, text in told.items() if secret in text]
    assert found == []


@pytest.mark.parametrize("host", PODS)
def test_each_secret_file_is_readable_by_its_one_reader_only(host: str) -> None:
    listed = on(
        host,
        "grep -rlF -f /dev/stdin /etc/bluefleet | xargs stat --format '%a %n'",
        given="\n".join(secrets().values()),
    )
    assert listed
    assert [line for line in listed.splitlines() if not line.startswith(("400 ", "600 "))] == []


@pytest.mark.parametrize("host", PODS)
def test_no_service_runs_as_root_and_each_names_its_image_by_digest(host: str) -> None:
    containers = json.loads(on(host, "docker inspect $(docker ps -aq --filter label=org.bluefleet.pod)"))
    assert containers
    for container in containers:
        assert container["Config"]["User"].partition(":")[0] not in ("", "0", "root"), container["Name"]
        assert "@sha256:" in container["Config"]["Image"], container["Name"]
        assert container["State"]["Health"]["Status"] == "healthy", container["Name"]


def test_the_edge_passes_the_websockets_of_the_queue() -> None:
    key = secrets()["queue_api_key"]
    with (
        socket.create_connection((ADDRESSES["manager"], 443), timeout=20 * PATIENCE) as plain,
        trust().wrap_socket(plain, server_hostname=ADDRESSES["manager"]) as edge,
    ):
        edge.sendall(
            (
                f"GET /api/status/ws HTTP/1.1\r\nHost: {ADDRESSES['manager']}\r\nAuthorization: ApiKey {key}\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            ).encode()
        )
        assert edge.recv(64).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(("host", "path"), [("manager", "api"), ("manager", "documents"), ("data", "tiled")])
def test_the_edge_sends_who_leaves_out_the_last_slash_to_a_page_of_its_own(host: str, path: str) -> None:
    answer = httpx.get(f"https://{ADDRESSES[host]}/{path}", verify=trust(), trust_env=False, timeout=20 * PATIENCE)
    assert (answer.status_code, answer.headers["Location"]) == (301, f"/{path}/")


@pytest.mark.parametrize(
    ("host", "path", "to"), [("manager", "api/status/", "/api/status"), ("data", "tiled/api/v1", "/tiled/api/v1/")]
)
def test_who_is_sent_on_by_a_service_stays_with_the_edge(host: str, path: str, to: str) -> None:
    answer = httpx.get(f"https://{ADDRESSES[host]}/{path}", verify=trust(), trust_env=False, timeout=20 * PATIENCE)
    assert (answer.status_code, answer.headers["Location"]) == (307, to)


def test_the_proof_of_a_site_that_keeps_its_promises_and_of_one_that_does_not(tmp_path: Path) -> None:
    told = tmp_path / "stages.json"
    Converge(told, playbook="playbooks/verify.yml").finish().well()
    on("data", "docker stop --time 1 data-mongo-sink-1")
    try:
        broken = Converge(told, playbook="playbooks/verify.yml").finish()
    finally:
        on("data", "docker start data-mongo-sink-1")
    assert broken.code != 0
    assert "data: Mongo sink is well: not so" in broken.text
    assert "data: edge is well" not in broken.text


def test_status_of_the_site_says_that_all_is_well() -> None:
    assert bluefleet("status").returncode == 0
