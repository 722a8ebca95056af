"""The power unit switches the virtual hosts of one laboratory off and on, for whoever has the token."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from power_unit_process import PROGRAM, TOKEN, Host, Unit

from bluefleet.fleet import Settings
from bluefleet.fleet._power import cycle
from bluefleet.model import Node, Power
from patience import PATIENCE, ends_in
from real_engine import docker
from small_registry import programs
from tls_front import Authority

CHECKOUT = "/home/ada/bluefleet"
# Of this run and no other: names of containers are the engine's own, for everybody.
NETWORK = f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The smallest image that runs."""
    made = subprocess.run(["docker", "import", "-"], input=programs(), capture_output=True, check=True).stdout
    yield made.decode().strip()
    docker("rmi", made.decode().strip())


@pytest.fixture
def make_host(image: str) -> Iterator[Callable[..., Host]]:
    """Makes hosts of the laboratory, and of others."""
    made: list[Host] = []

    def make(name: str, *, checkout: str = CHECKOUT, network: str = NETWORK) -> Host:
        made.append(Host(image, f"{network}-{name}", checkout))
        return made[-1]

    yield make
    for host in made:
        host.remove()


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unit]:
    """The laboratory's unit."""
    found = Unit(tmp_path_factory.mktemp("power") / "unit", NETWORK, CHECKOUT)
    yield found
    found.close()


def test_a_host_that_is_switched_off_stays_off_until_it_is_switched_on(
    unit: Unit, make_host: Callable[..., Host]
) -> None:
    node, other = make_host("node1"), make_host("node10")
    before, others = node.inspect(), other.inspect()
    assert unit.ask("GET", "/outlets") == (200, {"outlets": {"node1": "on", "node10": "on"}})

    assert unit.ask("POST", "/outlets/node1/off") == (200, {"outlet": "node1", "state": "off"})
    cut = node.inspect()
    # Killed, without having been asked to end; and no policy is about to bring it back.
    assert (cut["State"]["Status"], cut["State"]["ExitCode"], cut["RestartCount"]) == ("exited", 137, 0)
    assert unit.ask("GET", "/outlets")[1] == {"outlets": {"node1": "off", "node10": "on"}}

    assert unit.ask("POST", "/outlets/node1/on") == (200, {"outlet": "node1", "state": "on"})
    after = node.inspect()
    assert (after["Id"], after["State"]["Status"]) == (before["Id"], "running")
    assert after["State"]["StartedAt"] != before["State"]["StartedAt"]
    assert other.inspect()["State"] == others["State"]


def test_a_host_that_was_switched_on_again_is_looked_after_by_the_engine_as_before(
    unit: Unit, make_host: Callable[..., Host]
) -> None:
    node = make_host("node1")
    unit.ask("POST", "/outlets/node1/off")
    unit.ask("POST", "/outlets/node1/on")
    started = node.inspect()["State"]
    # Not by the engine: that would count as meant.
    os.kill(started["Pid"], signal.SIGKILL)
    end = ends_in(20)
    while (now := node.inspect()["State"])["StartedAt"] == started["StartedAt"] or not now["Running"]:
        assert time.monotonic() < end, now
        time.sleep(0.05)


def test_what_is_so_already_is_well(unit: Unit, make_host: Callable[..., Host]) -> None:
    node = make_host("node1")
    started = node.inspect()["State"]["StartedAt"]
    assert unit.ask("POST", "/outlets/node1/on")[0] == 200
    assert node.inspect()["State"]["StartedAt"] == started
    for _ in range(2):
        assert unit.ask("POST", "/outlets/node1/off") == (200, {"outlet": "node1", "state": "off"})


def test_a_host_that_hangs_has_power_and_loses_it(unit: Unit, make_host: Callable[..., Host]) -> None:
    node = make_host("node1")
    docker("pause", node.name)
    assert unit.ask("GET", "/outlets")[1] == {"outlets": {"node1": "on"}}
    assert unit.ask("POST", "/outlets/node1/off")[0] == 200
    assert node.status == "exited"
    assert unit.ask("POST", "/outlets/node1/on")[0] == 200
    assert node.status == "running"


def test_without_the_token_nothing_is_told_and_nothing_done(unit: Unit, make_host: Callable[..., Host]) -> None:
    node = make_host("node1")
    for token in (None, "another", TOKEN[:-1], f"{TOKEN}x", TOKEN.upper()):
        for method, path in (("GET", "/outlets"), ("POST", "/outlets/node1/off"), ("POST", "/outlets/nobody/off")):
            status, content = unit.ask(method, path, token)
            assert (status, content.keys()) == (401, {"error"}), token
            assert "node1" not in str(content)
    assert node.status == "running"


def test_only_hosts_of_this_very_laboratory_have_outlets(unit: Unit, make_host: Callable[..., Host]) -> None:
    make_host("node1")
    strangers = [make_host("node2", checkout="/home/bob/bluefleet"), make_host("node3", network=f"{NETWORK}x")]
    names = ("node2", "node3", f"{NETWORK}-node2", strangers[0].inspect()["Id"], "..", "node1%2F..%2Fnode2", "")
    for name in names:
        for action in ("off", "on"):
            status, content = unit.ask("POST", f"/outlets/{name}/{action}")
            assert status == 404, (name, content)
    assert unit.ask("POST", "/outlets/node2/off")[1] == {
        "error": "'node2' is no host of this laboratory; these are: node1"
    }
    assert [host.status for host in strangers] == ["running", "running"]
    assert unit.ask("GET", "/outlets")[1] == {"outlets": {"node1": "on"}}


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/", 404),
        ("POST", "/outlets/node1/cycle", 404),
        ("GET", "/outlets/node1/off", 404),
        ("PUT", "/outlets", 501),
    ],
)
def test_anything_else_is_refused_in_words(unit: Unit, method: str, path: str, code: int) -> None:
    status, content = unit.ask(method, path)
    assert (status, content.keys()) == (code, {"error"})


def test_a_client_that_says_nothing_is_in_nobodys_way(unit: Unit) -> None:
    with unit.silent_client(), unit.silent_client():
        assert unit.ask("GET", "/outlets")[0] == 200


def test_the_token_is_in_no_log(tmp_path: Path) -> None:
    unit = Unit(tmp_path / "unit", NETWORK, CHECKOUT)
    unit.ask("GET", "/outlets")
    unit.ask("POST", "/outlets/node1/off")
    said = unit.close()
    assert "POST /outlets/node1/off" in said
    assert TOKEN not in said


def test_an_engine_that_is_silent_or_away_is_told(tmp_path: Path) -> None:
    place = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(place))
        silent.listen()
        unit = Unit(tmp_path / "unit", NETWORK, CHECKOUT, "--engine-seconds", "0.2", engine=str(place))
        status, content = unit.ask("POST", "/outlets/node1/off")
        assert (status, "no answer for 0.2 s" in content["error"]) == (504, True), content
    status, content = unit.ask("POST", "/outlets/node1/off")
    assert (status, f"can't be asked at {place}" in content["error"]) == (502, True), content
    unit.close()


@pytest.mark.parametrize(("token", "said"), [("\n", "is empty"), (None, "can't be used")])
def test_a_unit_without_a_token_does_not_start(tmp_path: Path, token: str | None, said: str) -> None:
    Authority(tmp_path, "site").sign(tmp_path / "server", ["127.0.0.1"])
    if token is not None:
        (tmp_path / "token").write_text(token)
    words = ["--network", NETWORK, "--checkout", CHECKOUT, "--token-file", str(tmp_path / "token")]
    files = ["--certificate", str(tmp_path / "server.crt"), "--key", str(tmp_path / "server.key")]
    done = subprocess.run(
        [sys.executable, PROGRAM, *words, *files], capture_output=True, text=True, timeout=20 * PATIENCE, check=False
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_managers_power_driver_works_it(unit: Unit, make_host: Callable[..., Host], settings: Settings) -> None:
    node = make_host("node1")
    started = node.inspect()["State"]["StartedAt"]
    power = Power.model_validate(
        {
            "http": {
                "url": f"{unit.url}/outlets/node1/{{action}}",
                "token_file": str(unit.token_file),
                "ca_file": str(unit.ca_file),
            },
            "off_seconds": 0,
        }
    )
    asyncio.run(cycle(Node(name="node1", address="127.0.0.1", power=power), power, settings))
    assert node.status == "running"
    assert node.inspect()["State"]["StartedAt"] != started
