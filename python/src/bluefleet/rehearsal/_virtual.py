"""Whether an inventory's hosts are all virtual, so that it runs on this machine as it is and reaches nothing else."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from bluefleet.inventory import Entry, Finding, Inventory

# Hosts that are made, and logged in to; of those in `epics_clients` only an address counts.
MADE = ("manager", "acquisition", "data", "desktops", "nodes")
_THIS_MACHINES = ("hypervisor", "image_builder")
# What else lies beside hosts.yml without being read as a list of hosts.
_NO_HOSTS = (".md", ".rst", ".txt")
_REMEDY = "A real site leaves group 'hypervisor' empty; the hosts of a laboratory are declared as in inventories/lab"


def not_virtual(source: Inventory, laboratory: Inventory) -> Iterator[Finding]:
    """What speaks against using an inventory that has a hypervisor as it is: anything that may be a real host."""
    yield from _unread(source)
    subnet = source.entry("localhost", "virtual_host_subnet")
    network = _network(subnet.value) if subnet else None
    if network is None:
        yield _at(source, "localhost", subnet, "virtual_host_subnet", "it is no IPv4 network that is written out")
    names = source.entry("localhost", "virtual_host_names")
    named: Any = names.value if names else None
    for host in source.hosts:
        if any(host in source.members(group) for group in _THIS_MACHINES):
            yield from _elsewhere(source, host)
            continue
        if source.entry(host, "ansible_host") is None:
            yield _at(source, host, None, "ansible_host", "it has no address in virtual_host_subnet")
        is_made = any(host in source.members(group) for group in MADE)
        if is_made and names and not (isinstance(named, list) and host in named):
            yield _at(source, host, names, "virtual_host_names", f"host '{host}' is not in it, so it is a real one")
    for host, entry in source.entries():
        if entry.name == "ansible_host" and not (network and _lies_in(network, entry.value)):
            yield _at(source, host, entry, entry.name, "it lies outside virtual_host_subnet, so it is a real host's")
        elif entry.name.startswith("ansible_") and entry.name != "ansible_host":
            usual = laboratory.entry("localhost", entry.name)
            if entry.sealed or usual is None or usual.value != entry.value:
                yield _at(source, host, entry, entry.name, "hosts may be reached by another way than the laboratory's")


def _unread(source: Inventory) -> Iterator[Finding]:
    """What only Ansible can read, and where a real host's address can be."""
    for path in source.sealed_files:
        yield Finding(path, 1, says="it is encrypted, and may say how real hosts are reached", remedy=_REMEDY)
    for path in sorted(source.folder.iterdir()):
        usual = path == source.hosts_file or path.name in ("group_vars", "host_vars")
        if not usual and not path.name.startswith(".") and path.suffix not in _NO_HOSTS:
            yield Finding(path, 1, says="Ansible may find further hosts in it", remedy="Take it out of the folder")


def _elsewhere(source: Inventory, host: str) -> Iterator[Finding]:
    connection = source.entry(host, "ansible_connection")
    if host != "localhost" or connection is None or connection.value != "local":
        says = "what makes virtual hosts and images must be this machine: localhost with ansible_connection: local"
        yield _at(source, host, connection, None, says)


def _at(source: Inventory, host: str | None, entry: Entry | None, variable: str | None, says: str) -> Finding:
    if entry is None:
        line = source.hosts.get(host or "", 1)
        return Finding(source.hosts_file, line, host, variable, says=says, remedy=_REMEDY)
    value = None if entry.sealed else entry.value
    return Finding(entry.file, entry.line, host, entry.name, value, says, _REMEDY)


def _network(text: Any) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _lies_in(network: ipaddress.IPv4Network, text: Any) -> bool:
    try:
        return isinstance(text, str) and ipaddress.IPv4Address(text) in network
    except ValueError:
        return False
