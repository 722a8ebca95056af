"""The decisions about a laboratory's power unit: when its container is made, made anew, started, removed, and what is refused."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from ansible.module_utils.virtual_host_engine import VirtualHostError
from ansible.module_utils.virtual_host_plan import Found, Host, Lab, Machine, plan
from ansible.module_utils.virtual_host_power import (
    PowerUnit,
    address_fault,
    command,
    engine_socket,
    run_arguments,
    spec_of,
    step,
)

LAB = Lab("bluefleet-lab", "172.30.77.0/24", "/home/ada/bluefleet", "bluefleet/host:0123456789ab")
NODE1 = Host("node1", "172.30.77.21")
TOKEN = "the token"


@pytest.fixture
def unit(tmp_path: Path) -> PowerUnit:
    """A unit whose files are there."""
    files = {name: tmp_path / name for name in ("program", "token", "certificate", "key", "ca_file")}
    for path in files.values():
        path.write_text(TOKEN if path.name == "token" else path.name)
    return PowerUnit(address="172.30.77.2", engine="/var/run/docker.sock", **files)


def container(unit: PowerUnit, state: str = "running", checkout: str = LAB.checkout) -> Found:
    return Found("bluefleet-lab_power-unit", state, checkout, spec_of(LAB, unit))


def test_there_is_one_where_it_has_an_address_and_else_none(unit: PowerUnit) -> None:
    assert step(LAB, unit, []) == "create"
    assert step(LAB, unit, [container(unit)]) == ""
    assert step(LAB, None, [container(unit)]) == "remove"
    assert step(LAB, None, []) == ""


@pytest.mark.parametrize(("state", "what"), [("exited", "start"), ("created", "recreate"), ("paused", "recreate")])
def test_one_that_does_not_run_is_brought_back(unit: PowerUnit, state: str, what: str) -> None:
    assert step(LAB, unit, [container(unit, state)]) == what


@pytest.mark.parametrize("name", ["program", "token", "certificate", "key"])
def test_another_token_certificate_or_program_makes_it_anew(unit: PowerUnit, name: str) -> None:
    there = container(unit)
    getattr(unit, name).write_text("another")
    assert step(LAB, unit, [there]) == "recreate"


def test_so_does_another_address_or_image(unit: PowerUnit) -> None:
    assert step(LAB, replace(unit, address="172.30.77.3"), [container(unit)]) == "recreate"
    assert step(replace(LAB, image="bluefleet/host:ba9876543210"), unit, [container(unit)]) == "recreate"


def test_another_checkouts_unit_is_left_alone(unit: PowerUnit) -> None:
    others = [container(unit, checkout="/home/bob/bluefleet")]
    with pytest.raises(VirtualHostError, match="is the power unit of /home/bob/bluefleet: take that laboratory down"):
        step(LAB, unit, others)
    assert step(LAB, None, others) == ""


def test_it_is_no_host_that_left_the_inventory(unit: PowerUnit) -> None:
    machine = Machine(cgroup_hierarchies=(), has_sys_resource=True)
    assert plan(LAB, [], machine, [container(unit)], network_exists=True).surplus == []


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("172.30.78.2", "lies outside virtual_host_subnet 172.30.77.0/24"),
        ("172.30.77.1", "is the gateway of 172.30.77.0/24"),
        ("172.30.77.21", "is node1's already"),
        ("172.30.77.2", ""),
    ],
)
def test_an_address_that_the_network_cannot_have_is_refused(unit: PowerUnit, address: str, said: str) -> None:
    assert address_fault(LAB, replace(unit, address=address), [NODE1]).endswith(said)
    assert bool(address_fault(LAB, replace(unit, address=address), [NODE1])) == bool(said)


def test_its_token_is_no_argument_and_its_rights_are_the_engines_socket(unit: PowerUnit) -> None:
    arguments = run_arguments(LAB, unit)
    assert TOKEN not in " ".join([*arguments, *command(LAB)])
    assert [value for name, value in pairwise(arguments) if name == "--volume"] == [
        "/var/run/docker.sock:/var/run/docker.sock"
    ]
    assert "--env" not in arguments
    assert [value for name, value in pairwise(arguments) if name == "--cap-add"] == ["NET_BIND_SERVICE"]


def test_an_engine_that_is_not_on_this_machine_is_refused() -> None:
    assert engine_socket("unix:///run/user/1000/docker.sock\n") == "/run/user/1000/docker.sock"
    with pytest.raises(VirtualHostError, match="the engine in use is tcp://desk:2375: unset DOCKER_HOST"):
        engine_socket("tcp://desk:2375")
