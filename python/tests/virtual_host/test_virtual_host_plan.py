"""The decisions about virtual hosts: what is made, started, made anew, and what is refused."""

from dataclasses import replace
from itertools import pairwise

import pytest
from ansible.module_utils.virtual_host_plan import (
    Found,
    Host,
    Lab,
    Machine,
    address_faults,
    foreign_checkouts,
    overlapping_routes,
    plan,
    run_arguments,
    spec_of,
)

LAB = Lab("bluefleet-lab", "172.30.77.0/24", "/home/ada/bluefleet", "bluefleet/host:0123456789ab")
NODE1 = Host("node1", "172.30.77.21", "keys of node1")
NODE2 = Host("node2", "172.30.77.22", "keys of node2")
OLD_KERNEL = Machine(cgroup_hierarchies=("cpu", "memory", "systemd", "unified"), has_sys_resource=False)
NEW_KERNEL = Machine(cgroup_hierarchies=(), has_sys_resource=True)


def container(host: Host, state: str = "running", checkout: str = LAB.checkout, spec: str | None = None) -> Found:
    return Found(LAB.container(host.name), state, checkout, spec or spec_of(LAB, host, OLD_KERNEL))


def values_of(arguments: list[str], option: str) -> list[str]:
    return [value for name, value in pairwise(arguments) if name == option]


def test_hosts_that_run_as_they_should_need_nothing() -> None:
    steps = plan(LAB, [NODE1, NODE2], OLD_KERNEL, [container(NODE1), container(NODE2)], network_exists=True)
    assert not steps.changed()
    assert steps.lines() == []


def test_an_empty_machine_gets_the_network_and_every_host() -> None:
    steps = plan(LAB, [NODE1, NODE2], OLD_KERNEL, [], network_exists=False)
    assert steps.lines() == ["create network", "create node1 (172.30.77.21)", "create node2 (172.30.77.22)"]


@pytest.mark.parametrize("state", ["exited", "created", "dead"])
def test_a_host_that_was_stopped_is_started_and_not_made_anew(state: str) -> None:
    steps = plan(LAB, [NODE1, NODE2], OLD_KERNEL, [container(NODE1, state), container(NODE2)], network_exists=True)
    assert steps.start == [NODE1]
    assert not steps.create
    assert not steps.replace


@pytest.mark.parametrize(
    "before",
    [
        pytest.param((replace(LAB, image="bluefleet/host:ba9876543210"), NODE1, OLD_KERNEL), id="another image"),
        pytest.param((LAB, replace(NODE1, address="172.30.77.99"), OLD_KERNEL), id="another address"),
        pytest.param((LAB, replace(NODE1, keys="others"), OLD_KERNEL), id="other keys"),
        pytest.param((LAB, replace(NODE1, image="bluefleet/host:bookworm"), OLD_KERNEL), id="another system"),
        pytest.param((LAB, NODE1, NEW_KERNEL), id="another kernel"),
    ],
)
def test_a_host_with_another_spec_is_made_anew(before: tuple[Lab, Host, Machine]) -> None:
    steps = plan(LAB, [NODE1], OLD_KERNEL, [container(NODE1, spec=spec_of(*before))], network_exists=True)
    assert steps.lines() == ["recreate node1 (172.30.77.21)"]


def test_a_host_that_left_the_inventory_is_named_and_left_alone() -> None:
    steps = plan(LAB, [NODE1], OLD_KERNEL, [container(NODE1), container(NODE2)], network_exists=True)
    assert steps.surplus == ["bluefleet-lab-node2"]
    assert not steps.changed()


def test_another_checkouts_laboratory_of_the_same_name_is_found() -> None:
    other = [container(NODE1, checkout="/home/bob/bluefleet")]
    assert foreign_checkouts(LAB, other, "/home/bob/bluefleet") == ["/home/bob/bluefleet"]
    assert foreign_checkouts(LAB, [], "/home/bob/bluefleet") == ["/home/bob/bluefleet"]


def test_another_laboratory_of_the_same_checkout_is_left_alone() -> None:
    rehearsal = Found("bluefleet-lab-b-node1", "running", LAB.checkout, "x", "bluefleet-lab-b")
    assert plan(LAB, [NODE1], OLD_KERNEL, [container(NODE1), rehearsal], network_exists=True).surplus == []
    assert not LAB.owns(LAB.checkout, "bluefleet-lab-b", "bluefleet-lab-b-node1")
    assert LAB.owns(LAB.checkout, "bluefleet-lab", "whatever it is called")
    assert LAB.owns(LAB.checkout, "", "bluefleet-lab-node1"), "what has only the older label is known by its name"
    assert not LAB.owns("/home/bob/bluefleet", "bluefleet-lab", "bluefleet-lab-node1")


def test_shared_folders_are_the_same_volumes_for_every_host() -> None:
    lab = replace(LAB, shared=("/srv/shared", "/data"))
    of_one, of_other = lab.volumes("data"), lab.volumes("node1")
    assert set(of_one) & set(of_other) == {"bluefleet-lab-shared", "bluefleet-lab-shared.data"}
    assert of_one["bluefleet-lab-shared.data"] == "/data"
    assert spec_of(lab, NODE1, OLD_KERNEL) != spec_of(LAB, NODE1, OLD_KERNEL)


def test_a_laboratory_of_another_name_stands_in_nobodys_way() -> None:
    other = [Found("bluefleet-molecule-node1", "running", "/home/bob/bluefleet", "")]
    assert foreign_checkouts(LAB, other, None) == []
    assert foreign_checkouts(LAB, [container(NODE1)], LAB.checkout) == []


def test_a_network_that_nobody_labelled_is_not_taken_over() -> None:
    assert foreign_checkouts(LAB, [], "") == [""]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("172.30.78.21", "outside virtual_host_subnet 172.30.77.0/24"),
        ("172.30.77.1", "is the gateway"),
        ("172.30.77.22", "is node2's already"),
    ],
)
def test_an_address_that_the_network_cannot_have_is_refused(address: str, said: str) -> None:
    (fault,) = address_faults(LAB, [NODE2, replace(NODE1, address=address)])
    assert fault.startswith(f"node1: ansible_host {address}")
    assert said in fault


def test_good_addresses_have_no_fault() -> None:
    assert address_faults(LAB, [NODE1, NODE2]) == []


@pytest.mark.parametrize("destination", ["172.30.0.0/16", "172.30.77.128/25", "172.30.77.5"])
def test_a_subnet_that_the_machine_routes_already_is_found(destination: str) -> None:
    routes = [{"dst": "default", "dev": "eth0"}, {"dst": destination, "dev": "tun0"}]
    assert overlapping_routes(LAB.subnet, routes) == [f"{destination} on tun0"]


def test_other_routes_do_not_matter() -> None:
    routes = [{"dst": "default", "dev": "eth0"}, {"dst": "0.0.0.0/0"}, {"dst": "10.0.0.0/8"}, {"dst": "fe80::/64"}]
    assert overlapping_routes(LAB.subnet, routes) == []


def test_with_old_hierarchies_each_is_bound_by_itself_and_never_their_common_folder() -> None:
    binds = values_of(run_arguments(LAB, NODE1, OLD_KERNEL), "--volume")
    assert "/sys/fs/cgroup/memory:/sys/fs/cgroup/memory:rw" in binds
    assert not any(bind.split(":")[0] == "/sys/fs/cgroup" for bind in binds)


def test_with_the_unified_hierarchy_a_host_has_a_namespace_of_its_own() -> None:
    arguments = run_arguments(LAB, NODE1, NEW_KERNEL)
    assert values_of(arguments, "--cgroupns") == ["private"]
    assert not any("/sys/fs/cgroup" in argument for argument in arguments)


@pytest.mark.parametrize(("machine", "dropped"), [(OLD_KERNEL, ["SYS_RESOURCE"]), (NEW_KERNEL, [])])
def test_a_right_that_the_machine_withholds_is_not_asked_for(machine: Machine, dropped: list[str]) -> None:
    assert values_of(run_arguments(LAB, NODE1, machine), "--cap-drop") == dropped


def test_a_host_keeps_its_data_in_volumes_of_its_own_and_shares_one() -> None:
    one, other = LAB.volumes("node1"), LAB.volumes("node2")
    own = {"/var/lib/docker", "/var/lib/bluefleet", "/home"}
    assert set(one.values()) == own | {"/srv/shared"}
    assert {one[volume] for volume in set(one) & set(other)} == {"/srv/shared"}
