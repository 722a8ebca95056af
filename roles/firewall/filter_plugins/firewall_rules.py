"""Ansible filters: what one host answers on and to whom, from the site's port table and the declared instances."""

from __future__ import annotations

import fnmatch
import ipaddress
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

# Groups whose hosts talk Channel Access to the nodes.
EPICS_GROUPS = ("acquisition", "desktops", "epics_clients")

Groups = Mapping[str, Sequence[str]]
HostVars = Mapping[str, Mapping[str, Any]]


def spelled(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    """A network as nftables writes it: a single address without its length."""
    return str(network.network_address if network.num_addresses == 1 else network)


def addresses_of(name: str, what: str) -> list[str]:
    """The addresses and networks `name` stands for, sorted. A DNS name is resolved here, on the control machine."""
    try:
        return [spelled(ipaddress.ip_network(name, strict=False))]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise AnsibleFilterError(
            f"{what} is {name!r}, which is no address and which the control machine can't resolve ({error.strerror}); "
            "the firewall needs addresses: mend the name, or write its address"
        ) from error
    addresses = sorted({str(entry[4][0]) for entry in found})
    # Debian writes a machine's own name into its /etc/hosts, as 127.0.1.1. `localhost`, which builds images, is meant so.
    loopback = name != "localhost" and [
        address for address in addresses if ipaddress.ip_address(address.partition("%")[0]).is_loopback
    ]
    if loopback:
        raise AnsibleFilterError(
            f"{what} is {name!r}, which is {loopback[0]} on the control machine: packets of no other machine come from there; "
            "write its address"
        )
    return addresses


def addresses_of_host(host: str, hostvars: HostVars) -> list[str]:
    """Where the packets of `host` come from."""
    variables = hostvars[host]
    names = [variables.get("ansible_host") or host, *(variables.get("firewall_extra_addresses") or [])]
    return [address for name in names for address in addresses_of(str(name), f"the address of host {host}")]


def addresses_of_clients(clients: Iterable[str], groups: Groups, hostvars: HostVars) -> list[str] | None:
    """Addresses of groups, hosts, addresses and networks together, sorted; None means anybody."""
    found: set[str] = set()
    for client in clients:
        if client == "any":
            return None
        if client in groups:
            found.update(address for host in groups[client] for address in addresses_of_host(host, hostvars))
        elif client in hostvars:
            found.update(addresses_of_host(client, hostvars))
        else:
            found.update(addresses_of(client, "a client of the port table"))
    return sorted(found)


def by_family(addresses: Sequence[str]) -> list[tuple[str, list[str]]]:
    """nftables' word for each address family that occurs, with its addresses.

    One that lies inside a listed network is left out: nft refuses a set whose members overlap.
    """
    networks = sorted({ipaddress.ip_network(address) for address in addresses}, key=lambda n: (n.version, n))
    outer = [n for n in networks if not any(n != o and n.version == o.version and n.subnet_of(o) for o in networks)]
    split = [
        ("ip", [spelled(n) for n in outer if n.version == 4]),
        ("ip6", [spelled(n) for n in outer if n.version == 6]),
    ]
    return [(family, members) for family, members in split if members]


def instance_ports(instance: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Protocol and port, on the node, of everything an instance answers on."""
    channel_access = instance.get("channel_access_port")
    found = [("tcp", int(channel_access)), ("udp", int(channel_access))] if channel_access else []
    return found + [(port.get("protocol", "tcp"), int(port["port"])) for port in instance.get("ports") or []]


def firewall_rules(
    site_ports: Mapping[str, Mapping[str, Any]], host: str, groups: Groups, hostvars: HostVars, own: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The rules of `host`, SSH first: `name`, `protocol`, `port`, and `sources` by family, None when open to anybody.

    `own` are the host's declarations: `ssh_port`, `ssh_networks`, `transport`, `registry_tls`, `instances`, `epics_networks`,
    `extra_ports`. A rule that nobody may use (an empty group) is left out: what has no rule is closed.
    """
    rules: list[dict[str, Any]] = []

    def add(name: str, protocol: str, port: int, clients: Iterable[str]) -> None:
        sources = addresses_of_clients(clients, groups, hostvars)
        if sources is None or sources:
            families = None if sources is None else by_family(sources)
            rules.append({"name": name, "protocol": protocol, "port": int(port), "sources": families})

    # The manager tells nodes to reboot there.
    manager = ["manager"] if host in groups.get("nodes", []) and "manager" in groups else []
    networks = own["ssh_networks"]
    for port in sorted({int(site_ports["ssh"]["port"]), int(own["ssh_port"])}):
        add("ssh", "tcp", port, [*networks, *manager] if networks else ["any"])
    for name, entry in site_ports.items():
        here = any(host in groups.get(group, []) for group in entry["hosts"])
        # Entries for one way of running a service say for which.
        meant = all(entry.get(choice, own[choice]) == own[choice] for choice in ("transport", "registry_tls"))
        if name != "ssh" and here and meant:
            # A site needn't declare groups that it has no hosts for.
            add(
                name,
                "tcp",
                entry["port"],
                [client for client in entry["clients"] if client == "any" or client in groups],
            )
    if host in groups.get("nodes", []):
        clients = [*(group for group in EPICS_GROUPS if group in groups), *own["epics_networks"]]
        for instance in own["instances"]:
            for protocol, port in instance_ports(instance):
                add(f"instance {instance['name']}", protocol, port, clients)
            if instance.get("actor"):
                # People reach actors through the manager, which knows who they are.
                add(f"actor {instance['name']}", "tcp", instance["actor"]["port"], ["manager"])
    for extra in own["extra_ports"]:
        add(extra["name"], extra.get("protocol", "tcp"), extra["port"], extra.get("clients") or ["any"])
    return rules


def fleet_only(host: str, groups: Groups, hostvars: HostVars) -> list[dict[str, Any]]:
    """What on nodes knows no passwords and is open to the manager: there, only the fleet may connect to it.

    `name`, `port` and `targets` by family, of actors and of engines with transport `plain`; nothing on other hosts.
    """
    if host not in groups.get("manager", []):
        return []
    found: list[dict[str, Any]] = []
    for node in groups.get("nodes", []):
        variables = hostvars[node]
        ports = [
            (f"actor {instance['name']}", int(instance["actor"]["port"]))
            for instance in variables.get("node_instances") or []
            if instance.get("actor")
        ]
        if variables.get("docker_engine_transport") == "plain":
            ports.append((f"engine of {node}", 2375))
        if ports:
            own = ["127.0.0.0/8", "::1"] if node == host else []
            targets = by_family(addresses_of_host(node, hostvars) + own)
            found += [{"name": name, "port": port, "targets": targets} for name, port in ports]
    return found


def inside_out(routes: Sequence[Mapping[str, Any]], internal: Sequence[str]) -> list[str]:
    """Interfaces of default routes that are taken for a bridge of the host's own containers.

    `routes` are those of `ip -json route`; a route over several ways has its interfaces in `nexthops`.
    """
    used = {str(way["dev"]) for route in routes for way in (route, *route.get("nexthops", [])) if "dev" in way}
    return sorted(name for name in used if any(fnmatch.fnmatchcase(name, pattern) for pattern in internal))


class FilterModule:
    """Ansible finds the filters here."""

    def filters(self) -> dict[str, Any]:
        return {"firewall_rules": firewall_rules, "firewall_fleet_only": fleet_only, "firewall_inside_out": inside_out}
