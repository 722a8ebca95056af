"""What a holder of the queue's key may do, with the real queue: new devices join, and code of one's own does not."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from document_stack import Stack, docker, environment, make_network, wait_for

from bluefleet.fleet._queue import Queue
from patience import PATIENCE

pytestmark = pytest.mark.timeout(300)

KEY = "akeythatqueuesplans"
FLEET: dict[str, Any] = {
    "schema_version": 1, "site": "test", "hosts": {}, "registry": None, "images": {}, "acquisition": {}, "nodes": [],
}  # fmt: skip


def declared(*names: str) -> str:
    """The device database with simulated axes."""
    about = {"type": "OphydItem", "active": True, "device_class": "ophyd.sim.SynAxis", "args": []}
    return json.dumps({name: {**about, "_id": name, "name": name, "kwargs": {"name": "{{name}}"}} for name in names})


@dataclass
class Served:
    """The queue behind its HTTP server."""

    url: str
    folder: Path

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """Its answer to a holder of the key."""
        headers = {"Authorization": f"ApiKey {KEY}"}
        return httpx.request(
            method, f"{self.url}/{path}", json=body, headers=headers, timeout=20 * PATIENCE, trust_env=False
        )

    def is_open(self) -> bool:
        status = self.ask("GET", "status").json()
        return status["worker_environment_exists"] and status["manager_state"] == "idle"


@pytest.fixture(scope="module")
def queue(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    stack = Stack(f"bluefleet-test-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("queue"))
    etc = stack.folder / "etc"
    etc.mkdir()
    texts = {
        "fleet.yml": yaml.safe_dump(FLEET),
        "devices.json": declared("one"),
        "password": "aredispassword",
        "key": KEY,
    }
    for name, text in texts.items():
        (etc / name).write_text(text)
    worker = {
        "FLEET_FILE": "/etc/test/fleet.yml", "DEVICES_FILE": "/etc/test/devices.json", "SPOOL_DIR": "/tmp/spool",
        "QUEUE_DIR": "/tmp", "CONNECTIONS_FILE": "/tmp/connections.json", "REDIS_ADDRESS": "redis:6379",
        "REDIS_PASSWORD_FILE": "/etc/test/password",
    }  # fmt: skip
    server = {
        "QSERVER_ZMQ_CONTROL_ADDRESS": "tcp://re-manager:60615",
        "QSERVER_ZMQ_INFO_ADDRESS": "tcp://re-manager:60625",
    }
    server["BLUEFLEET_QUEUE_API_KEY_FILE"] = "/etc/test/key"
    volume = ("--user", "0:0", "--tmpfs", "/tmp/spool", "--volume", f"{etc}:/etc/test:ro")
    make_network(stack.name)
    try:
        stack.run("redis", images["redis"], "redis-server", "--requirepass", "aredispassword")
        stack.run("re-manager", images["bluesky"], "python", "-m", "bluefleet.acquisition.re_manager",
                  options=(*volume, *environment({f"BLUEFLEET_{name}": text for name, text in worker.items()})))  # fmt: skip
        stack.run("http-server", images["bluesky"], "python", "-m", "bluefleet.acquisition.http_server",
                  options=(*volume, *environment(server)))  # fmt: skip
        found = Served(f"http://{stack.addresses['http-server']}:60610/api", etc)
        wait_for(lambda: found.ask("GET", "status").status_code == 200, "the queue's HTTP server")
        assert found.ask("POST", "environment/open").json()["success"]
        wait_for(found.is_open, "the worker")
        yield found
    finally:
        for name in stack.started:
            (stack.folder / f"{name}.log").write_text(docker("logs", name))
        docker("rm", "--force", "--volumes", *stack.started)
        docker("network", "rm", stack.name)


def test_devices_that_were_declared_since_join_when_the_fleet_asks(queue: Served) -> None:
    key = queue.folder / "key"
    fleet = Queue(queue.url, key, key)
    assert "one" in fleet.state().known
    (queue.folder / "devices.json").write_text(declared("one", "two"))
    fleet.reload_devices()
    assert {"one", "two"} <= fleet.state().known
    (queue.folder / "devices.json").write_text(declared("two"))
    fleet.reload_devices()
    assert fleet.state().known & {"one", "two"} == {"two"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "script/upload", {"script": "import os"}),
        ("POST", "permissions/set", {"user_group_permissions": {}}),
        ("POST", "manager/stop", {}),
        ("POST", "test/manager/kill", {}),
        ("GET", "test/server/sleep", {"time": 1}),
    ],
)
def test_the_key_is_not_for_code_of_ones_own_or_the_end_of_the_queue(
    queue: Served, method: str, path: str, body: dict[str, Any]
) -> None:
    assert queue.ask(method, path, body).status_code == 401


def test_plans_are_queued_and_the_queue_is_looked_after(queue: Served) -> None:
    item = {"item_type": "plan", "name": "count", "args": [["det1"]], "kwargs": {}}
    for method, path, body in (
        ("POST", "queue/item/add", {"item": item}),
        ("GET", "queue/get", {}),
        ("GET", "history/get", {}),
        ("GET", "re/runs/active", {}),
        ("GET", "devices/allowed", {}),
        ("POST", "queue/clear", {}),
        ("POST", "history/clear", {}),
        ("POST", "permissions/reload", {}),
    ):
        answer = queue.ask(method, path, body)
        assert (answer.status_code, answer.json()["success"]) == (200, True), answer.text
