"""An inventory as people wrote it: groups, hosts, and every variable with the line that says it.

Ansible alone templates values and is asked for them (see `_render`); what it does not tell is where a value was
written. So the files are read again here: a folder with hosts.yml, group_vars/ and host_vars/, in Ansible's order.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bluefleet.inventory import _yaml
from bluefleet.inventory._finding import Finding
from bluefleet.model import did_you_mean

_SUFFIXES = (".yml", ".yaml", ".json")


@dataclass(frozen=True)
class Entry:
    """A variable, where it was given its value."""

    name: str
    file: Path
    line: int
    node: yaml.Node

    @property
    def value(self) -> Any:
        """The value as it was written; templates are still templates."""
        return _yaml.value_of(self.node)

    @property
    def sealed(self) -> bool:
        """Whether a part of it is encrypted, or text that Ansible must not template."""
        return _yaml.is_tagged(self.node)


@dataclass
class Group:
    """A group of hosts."""

    name: str
    file: Path
    line: int
    hosts: dict[str, int] = field(default_factory=dict[str, int])
    children: set[str] = field(default_factory=set[str])
    inline: dict[str, Entry] = field(default_factory=dict[str, Entry])


class Inventory:
    """One site's inventory folder. `findings` holds what could not be read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.hosts_file = next(
            (path for name in ("hosts.yml", "hosts.yaml") if (path := self.folder / name).is_file()),
            self.folder / "hosts.yml",
        )
        self.groups: dict[str, Group] = {"all": Group("all", self.hosts_file, 1)}
        self.hosts: dict[str, int] = {}
        self.findings: list[Finding] = []
        # Encrypted as a whole: only Ansible knows which variables are in them.
        self.sealed_files: list[Path] = []
        self._inline: dict[str, dict[str, Entry]] = {}
        self._read_hosts()
        self.group_files = self._read_variables("group_vars")
        self.host_files = self._read_variables("host_vars")

    def members(self, group: str) -> list[str]:
        """Return the hosts of a group and of the groups in it, in the order of hosts.yml."""
        if group == "all":
            return list(self.hosts)
        below = {group, *self._below(group)}
        return [host for host in self.hosts if any(host in self.groups[g].hosts for g in below if g in self.groups)]

    def groups_of(self, host: str) -> list[Group]:
        """Return the groups that give a host variables, in Ansible's order: the last one wins."""
        mine = [group for group in self.groups.values() if group.name == "all" or host in self.members(group.name)]
        return sorted(mine, key=lambda group: (self._depth(group.name), group.name))

    def of_host(self, host: str) -> list[Entry]:
        """Return what is written for one host alone; of a name that is there twice the last one counts."""
        return [*self._inline.get(host, {}).values(), *self.host_files.get(host, [])]

    def entries(self) -> Iterator[tuple[str | None, Entry]]:
        """Go through every variable that is written anywhere, with the host it is written for, if it is for one."""
        for group in self.groups.values():
            yield from ((None, entry) for entry in group.inline.values())
        for files in self.group_files.values():
            yield from ((None, entry) for entry in files)
        for host, inline in self._inline.items():
            yield from ((host, entry) for entry in inline.values())
        for host, files in self.host_files.items():
            yield from ((host, entry) for entry in files)

    def entry(self, host: str, variable: str) -> Entry | None:
        """Return the entry that gives a host its value of a variable."""
        groups = self.groups_of(host)
        layers = [group.inline for group in groups]
        layers += [_by_name(self.group_files.get(group.name, [])) for group in groups]
        layers += [self._inline.get(host, {}), _by_name(self.host_files.get(host, []))]
        return next((layer[variable] for layer in reversed(layers) if variable in layer), None)

    def _below(self, group: str) -> set[str]:
        below: set[str] = set()
        waiting = [group]
        while waiting:
            known = self.groups.get(waiting.pop())
            new = (known.children if known else set[str]()) - below
            below |= new
            waiting += new
        return below

    def _depth(self, name: str) -> int:
        if name == "all":
            return 0
        parents = [group.name for group in self.groups.values() if name in group.children and group.name != "all"]
        return 1 + max((self._depth(parent) for parent in parents if parent not in self._below(name)), default=0)

    def _read_hosts(self) -> None:
        if not self.hosts_file.is_file():
            remedy = "Copy inventories/example, or give the folder of another inventory with -i"
            self.findings.append(Finding(self.hosts_file, 1, says="there is no such file", remedy=remedy))
            return
        top, findings = _yaml.compose(self.hosts_file)
        self.findings += findings
        for name, line, node in _yaml.items(top):
            self._read_group(name, line, node)

    def _read_group(self, name: str, line: int, node: yaml.Node) -> None:
        group = self.groups.setdefault(name, Group(name, self.hosts_file, line))
        for key, key_line, value in _yaml.items(node):
            if key == "hosts":
                for pattern, host_line, variables in _yaml.items(value):
                    for host in _expand(pattern):
                        group.hosts[host] = host_line
                        self.hosts.setdefault(host, host_line)
                        self._inline.setdefault(host, {}).update(_entries(self.hosts_file, variables))
            elif key == "children":
                for child, child_line, below in _yaml.items(value):
                    group.children.add(child)
                    self._read_group(child, child_line, below)
            elif key == "vars":
                group.inline.update(_entries(self.hosts_file, value))
            else:
                self.findings.append(
                    Finding(
                        self.hosts_file,
                        key_line,
                        variable=key,
                        says=f"group '{name}' has the unknown key '{key}'",
                        remedy="A group has hosts, children and vars",
                    )
                )

    def _read_variables(self, kind: str) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = {}
        for path in sorted((self.folder / kind).rglob("*")):
            below = path.relative_to(self.folder / kind)
            if not path.is_file() or path.suffix not in _SUFFIXES or any(part.startswith(".") for part in below.parts):
                continue
            owner = below.parts[0] if len(below.parts) > 1 else path.stem
            node, findings = _yaml.compose(path)
            self.findings += findings
            if _yaml.is_encrypted(path):
                self.sealed_files.append(path)
            known = self.groups if kind == "group_vars" else self.hosts
            if owner not in known and self.hosts:
                self.findings.append(_ownerless(path, kind, owner, list(known)))
            found.setdefault(owner, []).extend(_entries(path, node).values())
        return found


def _ownerless(path: Path, kind: str, owner: str, known: list[str]) -> Finding:
    thing = "group" if kind == "group_vars" else "host"
    says = f"there is no {thing} '{owner}' in the inventory, so nothing ever reads this file"
    return Finding(path, 1, says=says, remedy=did_you_mean(owner, known))


def _entries(file: Path, node: yaml.Node | None) -> dict[str, Entry]:
    return {name: Entry(name, file, line, value) for name, line, value in _yaml.items(node)}


def _by_name(entries: list[Entry]) -> dict[str, Entry]:
    return {entry.name: entry for entry in entries}


def _expand(pattern: str) -> list[str]:
    """Write out a range of hosts as Ansible does: node[01:12] is twelve hosts."""
    match = re.fullmatch(r"(.*?)\[(\d+):(\d+)(?::(\d+))?\](.*)", pattern)
    if match is None:
        return [pattern]
    before, first, last, step, after = match.groups()
    numbers = range(int(first), int(last) + 1, int(step or 1))
    width = len(first) if first.startswith("0") else 0
    return [name for number in numbers for name in _expand(f"{before}{number:0{width}}{after}")]
