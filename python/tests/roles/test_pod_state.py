"""What the module says of a pod: what a killed `docker compose up` left of it, and whether a plan runs in it."""

import json
import re
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import pytest

MODULE = Path(__file__).parents[3] / "roles" / "_pod" / "library" / "pod_state.py"
OLD, NEW = "0123456789ab", "ba9876543210"
OWN, LEFT = "acquisition-edge-1", f"{OLD}_acquisition-edge-1"


def container(number: str, name: str, state: str, spec: str, **labels: str) -> dict[str, Any]:
    """A container as the engine lists it."""
    return {
        "Id": number,
        "Names": [f"/{name}"],
        "State": state,
        "Status": "Up 3 minutes (healthy)" if state == "running" else "Created",
        "Labels": {
            "com.docker.compose.project": "acquisition",
            "com.docker.compose.service": "edge",
            "com.docker.compose.oneoff": "False",
            "org.bluefleet.spec": spec,
            **labels,
        },
    }


class Engine(ThreadingUnixStreamServer):
    """As much of an engine as the module asks: lists, renames and removes containers."""

    def __init__(self, path: Path) -> None:
        self.containers: list[dict[str, Any]] = []
        super().__init__(str(path), Answers)

    def names(self) -> dict[str, str]:
        return {each["Names"][0].lstrip("/"): each["Id"] for each in self.containers}


class Answers(BaseHTTPRequestHandler):
    server: Engine

    def address_string(self) -> str:
        return "module"

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def _answer(self, status: int, body: object = None) -> None:
        text = json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _asked(self) -> dict[str, Any]:
        number = re.findall(r"/containers/(\w+)", self.path)[0]
        return next(each for each in self.server.containers if each["Id"] == number)

    def do_GET(self) -> None:
        if self.path.endswith("json") and "/containers/json" not in self.path:
            status = "starting" if self._asked().get("starts") else "healthy"
            self._answer(200, {"State": {"Status": "running", "Health": {"Status": status}}})
            return
        self._answer(200, self.server.containers)

    def do_DELETE(self) -> None:
        self.server.containers.remove(self._asked())
        self._answer(204)

    def do_POST(self) -> None:
        asked = self._asked()
        if "/restart" in self.path:
            asked.update(State="running", Status="Up 1 second (healthy)")
            self._answer(204)
            return
        name = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["name"][0]
        if name in self.server.names():
            self._answer(409, {"message": f"Conflict. The container name {name} is already in use"})
            return
        asked["Names"] = [f"/{name}"]
        self._answer(204)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path / "docker.sock") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(engine: Engine, *, clear: bool = False, check: bool = False) -> dict[str, Any]:
    """One call of the module that goes well."""
    done = call(engine, make_ready=clear, _ansible_check_mode=check)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def call(engine: Engine, **options: Any) -> subprocess.CompletedProcess[str]:
    """One call of the module as Ansible makes it, with the engine's socket in its place."""
    given = {"project": "acquisition", "specs": {"edge": "new"}, **options}
    text = MODULE.read_text().replace("/var/run/docker.sock", str(engine.server_address))
    return subprocess.run(
        [sys.executable, "-c", text],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": given}),
        capture_output=True,
        text=True,
        check=False,
    )


# In the engine's order, the newest first; and what stays, under the service's own name.
KILLED = {
    "before the old one was stopped": ([(NEW, LEFT, "created", "new"), (OLD, OWN, "running", "old")], OLD),
    "before the old one was removed": ([(NEW, LEFT, "created", "new"), (OLD, OWN, "exited", "old")], OLD),
    "before the new one had its name": ([(NEW, LEFT, "created", "new")], NEW),
    "and the new one was started as it was": ([(NEW, LEFT, "running", "new")], NEW),
    "by a Compose that renames the old one": ([(NEW, OWN, "created", "new"), (OLD, LEFT, "running", "old")], OLD),
}


@pytest.mark.parametrize("killed", KILLED)
def test_what_is_left_is_found_and_cleared_away(engine: Engine, killed: str) -> None:
    there, stays = KILLED[killed]
    engine.containers = [container(*each) for each in there]
    assert ask(engine)["leftovers"] == [LEFT]
    before = engine.names()
    assert ask(engine, clear=True, check=True)["changed"]
    assert engine.names() == before, "check mode changes nothing"
    ask(engine, clear=True)
    assert engine.names() == {OWN: stays}
    assert ask(engine)["leftovers"] == []


def test_a_service_that_runs_well_under_a_leftover_name_is_not_as_declared(engine: Engine) -> None:
    engine.containers = [container(NEW, LEFT, "running", "new")]
    assert ask(engine)["differing"] == {"edge": f"was being replaced when a run was interrupted: {LEFT} is left"}
    ask(engine, clear=True)
    assert ask(engine)["differing"] == {}


def test_the_one_that_runs_says_whether_the_service_is_as_declared(engine: Engine) -> None:
    """Both are of the same service; a plan runs in the one that runs."""
    for order in (1, -1):
        engine.containers = [container(NEW, OWN, "running", "old"), container(OLD, LEFT, "created", "new")][::order]
        assert ask(engine)["differing"] == {"edge": "is declared differently"}


def test_what_somebody_runs_by_hand_is_left_alone(engine: Engine) -> None:
    one_off = container(OLD, "acquisition-edge-run-1", "running", "old", **{"com.docker.compose.oneoff": "True"})
    engine.containers = [one_off, container(NEW, OWN, "running", "new")]
    assert (ask(engine)["differing"], ask(engine)["leftovers"]) == ({}, [])


# In place of `docker exec`: the worker answers at the third time it is asked, as one does whose host has just started.
WORKER = """#!/bin/sh
echo asked >>{asked}
[ "$(wc -l <{asked})" -ge {answers_at} ] || exit 1
echo '{{"item": null, "runs": []}}'
"""


@pytest.mark.slow
@pytest.mark.parametrize(("starts", "allowed"), [(True, True), (False, False)])
def test_a_worker_that_is_just_starting_is_asked_again_and_one_that_is_mute_is_not(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, starts: bool, allowed: bool
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(WORKER.format(asked=tmp_path / "asked", answers_at=3))
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    worker = container(OLD, "acquisition-re-manager-1", "running", "old")
    worker["Labels"]["com.docker.compose.service"] = "re-manager"
    engine.containers = [{**worker, "starts": starts}]
    done = call(engine, specs={"re-manager": "new"}, guarded=["re-manager"])
    assert (done.returncode == 0) is allowed, done.stdout
    if not allowed:
        assert "doesn't say whether a plan runs" in json.loads(done.stdout)["msg"]


def test_what_failed_without_its_configuration_is_started_at_once(engine: Engine) -> None:
    engine.containers = [container(NEW, OWN, "restarting", "new")]
    assert ask(engine)["differing"] == {"edge": "is restarting"}
    ask(engine, clear=True, check=True)
    assert engine.containers[0]["State"] == "restarting"
    ask(engine, clear=True)
    assert ask(engine)["differing"] == {}
