"""Refuses groups that cannot be: what a host is for is said by its groups alone."""

from collections.abc import Iterator
from difflib import get_close_matches

from bluefleet.inventory._finding import Finding
from bluefleet.inventory._source import Inventory

GROUPS = ("hypervisor", "image_builder", "manager", "acquisition", "data", "desktops", "nodes", "epics_clients")
_BUILT_IN = ("all", "ungrouped")


def group_findings(inventory: Inventory) -> Iterator[Finding]:
    """Check how many hosts are in the groups that have one, and that no group is a mistyped other one."""
    managers = inventory.members("manager")
    if len(managers) != 1:
        group = inventory.groups.get("manager")
        yield Finding(
            inventory.hosts_file,
            group.hosts.get(managers[1], group.line) if group and managers else group.line if group else 1,
            managers[1] if managers else None,
            "manager",
            managers,
            says=f"group manager has {len(managers)} hosts",
            remedy="Put exactly one host into it: it holds the registry and the fleet",
        )
    for name in ("acquisition", "data"):
        members = inventory.members(name)
        if len(members) > 1:
            group = inventory.groups[name]
            yield Finding(
                inventory.hosts_file,
                group.hosts.get(members[1], group.line),
                members[1],
                name,
                members,
                says=f"group {name} has {len(members)} hosts",
                remedy="Leave one: a site has one pod of a kind",
            )
    both = [host for host in inventory.members("acquisition") if host in inventory.members("data")]
    for host in both:
        yield Finding(
            inventory.hosts_file,
            inventory.groups["data"].hosts.get(host, inventory.hosts[host]),
            host,
            "data",
            inventory.members("data"),
            says="port 443 is wanted on this host by the edges of both pods",
            remedy="Put another host into group data, or into group acquisition",
        )
    yield from _half_a_path(inventory)
    yield from _mistyped(inventory)


def _half_a_path(inventory: Inventory) -> Iterator[Finding]:
    """Documents come from the acquisition pod: a data pod without one has nothing to read from."""
    data, acquisition = inventory.members("data"), inventory.members("acquisition")
    if data and not acquisition:
        yield Finding(
            inventory.hosts_file,
            inventory.groups["data"].hosts.get(data[0], inventory.hosts[data[0]]),
            data[0],
            "acquisition",
            acquisition,
            says="group data has a host and group acquisition has none: its sinks read documents from that pod's Kafka",
            remedy="Put a host into group acquisition, usually the manager, or take the host out of group data",
        )
    elif acquisition and "data" not in inventory.groups:
        yield Finding(
            inventory.hosts_file,
            inventory.groups["acquisition"].hosts.get(acquisition[0], inventory.hosts[acquisition[0]]),
            acquisition[0],
            "data",
            says="group acquisition has a host and there is no group data, which playbooks ask for",
            remedy="Add it, with a host or empty: `data: {hosts: {}}`",
        )


def _mistyped(inventory: Inventory) -> Iterator[Finding]:
    related = {child for name in GROUPS if name in inventory.groups for child in inventory.groups[name].children}
    for group in inventory.groups.values():
        if group.name in GROUPS or group.name in _BUILT_IN or group.name in related or group.children:
            continue
        near = get_close_matches(group.name, GROUPS, n=1, cutoff=0.8)
        if near:
            yield Finding(
                group.file,
                group.line,
                variable=group.name,
                says=f"no role knows group '{group.name}'",
                remedy=f"Did you mean '{near[0]}'? A group of your own needs a name less like it",
            )
