"""What the firewall opens on each host, from the port table and the declared instances."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2
import pytest
import yaml
from ansible.errors import AnsibleFilterError

VARS = Path(__file__).resolve().parents[3] / "roles" / "_site" / "vars" / "main.yml"
SITE_PORTS = yaml.safe_load(VARS.read_text())["site_ports"]

GROUPS = {
    "all": ["boss", "store", "hall1", "hall2", "office"],
    "manager": ["boss"],
    "acquisition": ["boss"],
    "data": ["store"],
    "desktops": ["store"],
    "nodes": ["hall1", "hall2"],
    "epics_clients": ["office"],
}
HOSTVARS: dict[str, dict[str, Any]] = {
    "boss": {
        "ansible_host": "10.0.0.10",
        "firewall_extra_addresses": ["10.9.0.10", "fd00::10"],
    },
    "store": {"ansible_host": "10.0.0.11"},
    "hall1": {
        "ansible_host": "10.0.0.21",
        "node_instances": [
            {"name": "axis", "channel_access_port": 5064},
            {
                "name": "camera",
                "channel_access_port": 5066,
                "ports": [{"port": 8080}, {"port": 9000, "protocol": "udp"}],
            },
        ],
    },
    "hall2": {"ansible_host": "10.0.0.22"},
    "office": {"ansible_host": "192.0.2.7"},
}
NOTHING: dict[str, Any] = {
    "ssh_port": 22,
    "ssh_networks": [],
    "transport": "tls",
    "registry_tls": True,
    "instances": [],
    "epics_networks": [],
    "extra_ports": [],
}


def opened(firewall: ModuleType, host: str, **own: Any) -> dict[tuple[str, int], set[str] | None]:
    """Protocol and port → who may connect, None for anybody."""
    rules = firewall.firewall_rules(SITE_PORTS, host, GROUPS, HOSTVARS, NOTHING | own)
    found: dict[tuple[str, int], set[str] | None] = {}
    for rule in rules:
        sources = rule["sources"]
        everybody = sources is None
        found[rule["protocol"], rule["port"]] = None if everybody else {a for _, members in sources for a in members}
    return found


def test_the_engine_of_a_node_is_open_to_every_address_of_the_manager_and_nobody_else(
    firewall: ModuleType,
) -> None:
    assert opened(firewall, "hall1")[("tcp", 2376)] == {
        "10.0.0.10",
        "10.9.0.10",
        "fd00::10",
    }


def test_an_actor_is_open_to_the_manager_and_its_other_ports_are_not(firewall: ModuleType) -> None:
    camera = {"name": "camera", "channel_access_port": 5066, "actor": {"port": 19995}}
    found = opened(firewall, "hall1", instances=[camera])
    assert found[("tcp", 19995)] == {"10.0.0.10", "10.9.0.10", "fd00::10"}
    assert "192.0.2.7" in (found[("tcp", 5066)] or set())


def test_a_host_that_is_no_node_has_no_engine_port(firewall: ModuleType) -> None:
    assert set(opened(firewall, "boss")) == {
        ("tcp", 22),
        ("tcp", 443),
        ("tcp", 5000),
        ("tcp", 6380),
        ("tcp", 9093),
    }


@pytest.mark.parametrize(("transport", "ports"), [("tls", {22, 2376}), ("plain", {22, 2375}), ("ssh", {22})])
def test_only_the_port_of_the_transport_in_use_is_open(firewall: ModuleType, transport: str, ports: set[int]) -> None:
    assert {port for _, port in opened(firewall, "hall2", transport=transport)} == ports


def test_hardware_ports_are_open_to_acquisition_desktops_and_epics_clients(
    firewall: ModuleType,
) -> None:
    found = opened(
        firewall,
        "hall1",
        instances=HOSTVARS["hall1"]["node_instances"],
        epics_networks=["10.3.0.0/16"],
    )
    clients = {
        "10.0.0.10",
        "10.9.0.10",
        "fd00::10",
        "10.0.0.11",
        "192.0.2.7",
        "10.3.0.0/16",
    }
    for port in (
        ("tcp", 5064),
        ("udp", 5064),
        ("tcp", 5066),
        ("udp", 5066),
        ("tcp", 8080),
        ("udp", 9000),
    ):
        assert found[port] == clients


def test_another_node_may_not_use_hardware_ports(firewall: ModuleType) -> None:
    found = opened(firewall, "hall1", instances=HOSTVARS["hall1"]["node_instances"])
    assert "10.0.0.22" not in (found[("tcp", 5064)] or set())


def test_the_port_ansible_uses_is_open_beside_22(firewall: ModuleType) -> None:
    assert set(opened(firewall, "hall2", ssh_port=2222, transport="ssh")) == {
        ("tcp", 22),
        ("tcp", 2222),
    }


def test_a_registry_without_tls_answers_hosts_of_the_site_only(firewall: ModuleType) -> None:
    assert opened(firewall, "boss")[("tcp", 5000)] is None
    insecure = opened(firewall, "boss", registry_tls=False)[("tcp", 5000)]
    assert insecure == {"10.0.0.10", "10.9.0.10", "fd00::10", "10.0.0.11", "10.0.0.21", "10.0.0.22"}


def test_ssh_can_be_kept_to_networks(firewall: ModuleType) -> None:
    manager = {"10.9.0.10", "fd00::10"}
    assert opened(firewall, "store", ssh_networks=["10.0.0.0/24"])[("tcp", 22)] == {"10.0.0.0/24"}
    assert opened(firewall, "hall2", ssh_networks=["10.0.0.0/24"])[("tcp", 22)] == {"10.0.0.0/24"} | manager


def test_a_port_for_an_empty_group_stays_closed(firewall: ModuleType) -> None:
    table = {
        "ssh": SITE_PORTS["ssh"],
        "odd": {"port": 7, "hosts": ["data"], "clients": ["nobody"]},
    }
    rules = firewall.firewall_rules(table, "store", GROUPS | {"nobody": []}, HOSTVARS, NOTHING)
    assert [rule["port"] for rule in rules] == [22]


def test_an_extra_port_is_open_to_whom_it_names(firewall: ModuleType) -> None:
    extra = [{"name": "node exporter", "port": 9100, "clients": ["boss", "192.0.2.0/24"]}]
    assert opened(firewall, "hall2", extra_ports=extra)[("tcp", 9100)] == {
        "10.0.0.10",
        "10.9.0.10",
        "fd00::10",
        "192.0.2.0/24",
    }


def test_an_address_inside_an_open_network_is_not_listed_again(
    firewall: ModuleType,
) -> None:
    assert opened(firewall, "store", ssh_networks=["192.0.2.0/24", "192.0.2.7"])[("tcp", 22)] == {"192.0.2.0/24"}


def test_a_name_that_cannot_be_resolved_is_refused_with_the_host_and_the_remedy(
    firewall: ModuleType,
) -> None:
    hostvars = HOSTVARS | {"boss": {"ansible_host": "no-such-host.invalid"}}
    with pytest.raises(
        AnsibleFilterError,
        match=r"host boss is 'no-such-host.invalid'.*write its address",
    ):
        firewall.firewall_rules(SITE_PORTS, "hall1", GROUPS, hostvars, NOTHING)


@pytest.mark.parametrize("found", ["127.0.1.1", "::1"])
def test_a_name_that_is_the_control_machines_own_is_refused(
    firewall: ModuleType, monkeypatch: pytest.MonkeyPatch, found: str
) -> None:
    monkeypatch.setattr(firewall.socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", (found, 0))])
    with pytest.raises(AnsibleFilterError, match=rf"host boss is 'boss', which is {found} .*write its address"):
        firewall.firewall_rules(SITE_PORTS, "hall1", GROUPS, HOSTVARS | {"boss": {}}, NOTHING)
    # Who builds images there is meant so.
    assert firewall.addresses_of("localhost", "the image builder") == [found]


GUARDED = HOSTVARS | {
    "hall1": {
        "ansible_host": "10.0.0.21",
        "firewall_extra_addresses": ["fd00::21"],
        "node_instances": [{"name": "axis"}, {"name": "camera", "actor": {"port": 19995}}],
    },
    "hall2": {"ansible_host": "10.0.0.22", "docker_engine_transport": "plain"},
}


def test_what_knows_no_passwords_is_for_the_fleet_alone_and_only_the_manager_could_reach_it(
    firewall: ModuleType,
) -> None:
    assert firewall.fleet_only("boss", GROUPS, GUARDED) == [
        {"name": "actor camera", "port": 19995, "targets": [("ip", ["10.0.0.21"]), ("ip6", ["fd00::21"])]},
        {"name": "engine of hall2", "port": 2375, "targets": [("ip", ["10.0.0.22"])]},
    ]
    assert firewall.fleet_only("store", GROUPS, GUARDED) == []
    assert firewall.fleet_only("boss", GROUPS, HOSTVARS) == []


def test_actors_of_a_manager_that_is_a_node_are_guarded_on_loopback_too(firewall: ModuleType) -> None:
    groups, alone = GROUPS | {"nodes": ["boss"]}, {"boss": GUARDED["hall1"]}
    (camera,) = firewall.fleet_only("boss", groups, alone)
    assert camera["targets"] == [("ip", ["10.0.0.21", "127.0.0.0/8"]), ("ip6", ["::1", "fd00::21"])]


def test_neither_people_nor_containers_of_the_manager_go_where_the_fleet_goes(firewall: ModuleType) -> None:
    rules = rendered(firewall.fleet_only("boss", GROUPS, GUARDED))
    (output,) = re.findall(r"chain output \{(.*?)\n    \}", rules, re.DOTALL)
    (forward,) = re.findall(r"chain forward \{(.*?)\n    \}", rules, re.DOTALL)
    # Before what lets people and containers go anywhere.
    assert re.search(r"skuid != \{ 0, 64100 \} jump fleet_only.*ct status dnat accept", output, re.DOTALL)
    assert re.search(r'iifname "bf-\*" jump fleet_only.*iifname "bf-\*" accept', forward, re.DOTALL)
    assert "ct original ip daddr { 10.0.0.21 } meta l4proto tcp ct original proto-dst 19995 jump refuse" in rules
    assert "fleet_only" not in rendered([])


def rendered(guarded: list[dict[str, Any]]) -> str:
    """The rules of a host."""
    template = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined).from_string(TEMPLATE.read_text())  # noqa: S701
    return template.render(
        firewall_internal_interfaces=INTERNAL, firewall_hardware_interfaces=[], _firewall_rules=[],
        _firewall_fleet_only=guarded, site_uids=yaml.safe_load(VARS.read_text())["site_uids"],
    )  # fmt: skip


UPLINK = [{"dst": "default", "gateway": "10.0.0.1", "dev": "br-lan"}]
TEMPLATE = Path(__file__).resolve().parents[3] / "roles" / "firewall" / "templates" / "firewall.nft.j2"
DEFAULTS = Path(__file__).resolve().parents[3] / "roles" / "firewall" / "defaults" / "main.yml"
INTERNAL = yaml.safe_load(DEFAULTS.read_text())["firewall_internal_interfaces"]


def test_an_uplink_that_is_a_bridge_is_no_interface_of_containers(firewall: ModuleType) -> None:
    assert firewall.inside_out(UPLINK, INTERNAL) == []


def test_an_uplink_that_would_be_trusted_is_found(firewall: ModuleType) -> None:
    ways = [{"dst": "default", "nexthops": [{"dev": "eth0"}, {"dev": "bf-out"}]}]
    assert firewall.inside_out(UPLINK + ways, [*INTERNAL, "br-*"]) == ["bf-out", "br-lan"]
