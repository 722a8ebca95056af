"""Makes of a site's inventory what a rehearsal's says, in memory: nothing is written here, and nobody is asked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from bluefleet.inventory import Entry, Finding, Group, Inventory, is_template
from bluefleet.rehearsal._addresses import Readdressed, Subnet
from bluefleet.rehearsal._instances import file_servers, not_to_be_rehearsed, rehearsed
from bluefleet.rehearsal._templates import ASKS, asks_others
from bluefleet.rehearsal._variables import INVENTORY, beside_the_site, is_taken, why_left
from bluefleet.rehearsal._virtual import MADE

_ADDRESSED = (*MADE, "epics_clients")
# The rehearsal has its own.
_OWN_GROUPS = ("hypervisor", "image_builder")
# What every virtual host has in common with the laboratory's: how it is reached, and how its engine runs.
_AS_IN_THE_LABORATORY = (
    "ansible_user", "ansible_ssh_private_key_file", "ansible_ssh_common_args",
    "docker_engine_prepare_commands", "docker_engine_daemon_options", "site_ca_bundle",
)  # fmt: skip
_THIS_MACHINE = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}


@dataclass(frozen=True)
class Left:
    """Something of the site that is not rehearsed, where it stands, and why."""

    place: str
    what: str
    why: str


@dataclass
class Rehearsal:
    """A rehearsal's inventory, and how it differs from the site's."""

    name: str
    source: Path
    network: str
    addresses: dict[str, str]
    # host: the site's address, which nothing here uses.
    real: dict[str, str]
    # Path below the folder → content.
    files: dict[str, Any] = field(default_factory=dict[str, Any])
    left: list[Left] = field(default_factory=list[Left])
    # Why there can be no rehearsal.
    findings: list[Finding] = field(default_factory=list[Finding])


def rehearse(
    source: Inventory, laboratory: Inventory, checkout: Path, subnet: Subnet, before: Mapping[str, str]
) -> Rehearsal:
    """Make the rehearsal of an inventory that was found to make sense. Raises ValueError when the network is too small.

    `before`: the addresses that its hosts had the last time.
    """
    hosts = [host for host in source.hosts if any(host in source.members(group) for group in _ADDRESSED)]
    real = {host: _address(source, host) for host in hosts}
    name = source.folder.name
    made = Rehearsal(name, source.folder, f"bluefleet-rehearsal-{name}", subnet.given(hosts, before), real)
    made.findings += _impossible(source, hosts, _built(checkout))
    if made.findings:
        return made
    # A host without an address of its own is known by its name, which virtual hosts have too.
    readdress = Readdressed({real[host]: made.addresses[host] for host in hosts if real[host] != host})
    made.files["hosts.yml"] = _hosts(source, made.addresses)
    for group, entries in _by_group(source):
        _take(made, f"group_vars/{group}/site.yml", entries, readdress)
    for host in hosts:
        _take(made, f"host_vars/{host}.yml", source.of_host(host), readdress)
    made.files["group_vars/all/rehearsal.yml"] = {
        "simulate": True,
        "site_state_dir": "{{ inventory_dir }}/.state",
        INVENTORY: str(source.folder),
        **{
            variable: entry.value
            for variable in _AS_IN_THE_LABORATORY
            if (entry := laboratory.entry("localhost", variable))
        },
    }
    made.files["group_vars/hypervisor/rehearsal.yml"] = {
        "virtual_host_network": made.network,
        "virtual_host_subnet": str(subnet),
        "virtual_host_names": [host for host in hosts if any(host in source.members(group) for group in MADE)],
        # Nothing that is left of the site's addresses leads anywhere.
        "virtual_host_uplink": False,
        "virtual_host_shared_folders": sorted({"/srv/shared", *_mount_points(source)}),
    }
    made.left += _left(source)
    return made


def _impossible(source: Inventory, hosts: list[str], built: set[str]) -> Iterator[Finding]:
    if "localhost" in hosts:
        yield Finding(
            source.hosts_file,
            source.hosts["localhost"],
            "localhost",
            says="this machine can't be a virtual host of itself",
            remedy="Give the host a name of its own; ansible_connection: local may stay with it",
        )
    for host in source.members("nodes"):
        entry = source.entry(host, "node_instances")
        if entry is not None:
            yield from not_to_be_rehearsed(host, entry, built)


def _built(checkout: Path) -> set[str]:
    """Keys of the images that a site's hosts can have without any other registry."""
    images: dict[str, Any] = yaml.safe_load((checkout / "images" / "versions.yml").read_text(encoding="utf-8"))[
        "images"
    ]
    return {key for key, image in images.items() if not image.get("internal")}


def _address(source: Inventory, host: str) -> str:
    entry = source.entry(host, "ansible_host")
    return str(entry.value) if entry else host


def _hosts(source: Inventory, addresses: Mapping[str, str]) -> dict[str, Any]:
    """Groups as in the site, but for those of the machine that the rehearsal is on."""
    listed: dict[str, Any] = {
        "all": {"hosts": {host: {"ansible_host": address} for host, address in addresses.items()}},
        "hypervisor": {"hosts": {"localhost": _THIS_MACHINE}},
        "image_builder": {"hosts": {"localhost": None}},
    }
    for group in _groups(source):
        members = [host for host in group.hosts if host in addresses]
        listed[group.name] = {"hosts": dict.fromkeys(members)}
        if group.children - {*_OWN_GROUPS}:
            listed[group.name]["children"] = dict.fromkeys(sorted(group.children - {*_OWN_GROUPS}))
    return listed


def _groups(source: Inventory) -> list[Group]:
    return [group for group in source.groups.values() if group.name not in ("all", *_OWN_GROUPS)]


def _by_group(source: Inventory) -> Iterator[tuple[str, list[Entry]]]:
    for group in [source.groups["all"], *_groups(source)]:
        yield group.name, [*group.inline.values(), *source.group_files.get(group.name, [])]


def _take(made: Rehearsal, path: str, entries: list[Entry], readdress: Readdressed) -> None:
    """What may be taken of a group or a host; what is written later counts, as in Ansible."""
    taken: dict[str, Any] = {}
    for entry in entries:
        if is_taken(entry.name) and not entry.sealed and not asks_others(entry.value):
            value: Any = entry.value
            if entry.name == "node_instances":
                value = rehearsed(value)
            taken[entry.name] = readdress(_beside(value))
    if taken:
        made.files[path] = taken


def _beside(value: Any) -> Any:
    if isinstance(value, str):
        return beside_the_site(value)
    if isinstance(value, dict):
        return {key: _beside(each) for key, each in cast("dict[Any, Any]", value).items()}
    return [_beside(each) for each in cast("list[Any]", value)] if isinstance(value, list) else value


def _mount_points(source: Inventory) -> Iterator[str]:
    for host in source.members("nodes"):
        entry = source.entry(host, "node_mounts")
        mounts: Any = entry.value if entry else None
        for mount in cast("list[Any]", mounts) if isinstance(mounts, list) else []:
            if isinstance(mount, dict) and not is_template(mount):
                yield str(cast("dict[str, Any]", mount)["path"])


def _left(source: Inventory) -> Iterator[Left]:
    """Everything that a person may miss in the rehearsal, each once."""
    for host, entry in source.entries():
        place = Finding(entry.file, entry.line).place
        what = f"{host}: {entry.name}" if host else entry.name
        if is_taken(entry.name) and entry.sealed:
            yield Left(place, what, "it is encrypted or raw text, and secrets of the site stay with it")
        elif is_taken(entry.name) and asks_others(entry.value):
            yield Left(place, what, ASKS)
        elif entry.name == "node_mounts":
            yield Left(place, what, "in its place is a folder of this machine, which all virtual hosts share")
        elif why := why_left(entry.name):
            yield Left(place, what, why)
        instances: Any = entry.value if entry.name == "node_instances" else None
        if isinstance(instances, list):
            for export in file_servers(cast("list[Any]", instances)):
                yield Left(place, f"{what}: {export}", "in its place is a volume of the virtual node's own engine")
    for path in source.sealed_files:
        yield Left(Finding(path, 1).place, "the whole file", "it is encrypted, and secrets of the site stay with it")
    for host in source.hosts:
        if host != "localhost" and not any(host in source.members(group) for group in _ADDRESSED):
            yield Left(
                Finding(source.hosts_file, source.hosts[host]).place, host, "it is in no group that a role knows"
            )
