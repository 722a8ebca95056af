"""Refuses what a role would refuse on the host, before any host is touched."""

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from bluefleet.inventory._finding import Finding
from bluefleet.inventory._source import Inventory
from bluefleet.inventory._specs import Roles
from bluefleet.inventory._values import Values
from bluefleet.inventory._yaml import is_template, line_at

_SUBID_KEYS = ("subid_start", "subid_count")
# Of git+ssh://git@host the user alone is no secret.
_LOGIN = re.compile(r"(?<=://)(?:[^/]*:[^/]*|(?<!ssh://)[^/]*)(?=@)")


def transport_findings(inventory: Inventory, values: Values) -> Iterator[Finding]:
    """`plain` lets anybody who can reach the port rule the node: it must be asked for twice."""
    for host in inventory.hosts:
        transport, entry = values.of(host, "docker_engine_transport")
        acknowledged, _ = values.of(host, "docker_engine_plain_acknowledged")
        if entry and transport == "plain" and str(acknowledged).lower() not in ("true", "yes"):
            yield Finding(
                entry.file,
                entry.line,
                host,
                entry.name,
                transport,
                says="whoever reaches port 2375 of this host rules it: the transport is without any authentication",
                remedy="Remove the line (tls is the default), or add docker_engine_plain_acknowledged: true beside it",
            )


def subid_findings(inventory: Inventory, values: Values) -> Iterator[Finding]:
    """Two users with a common sub-id can write each other's files."""
    for host in inventory.hosts:
        users, entry = values.of(host, "subids_users")
        if entry is None or is_template(users):
            users, entry = values.of(host, "desktop_users")
        if entry is None or not isinstance(users, list):
            continue
        ranges: list[tuple[int, int, str]] = []
        for position, user in enumerate(cast("list[Any]", users)):
            if not isinstance(user, dict) or "subid_start" not in user:
                continue
            declared = cast("dict[str, Any]", user)
            name = str(declared.get("name"))
            wrong = [
                key for key in _SUBID_KEYS if not _is_number(declared.get(key)) and not is_template(declared.get(key))
            ]
            for key in wrong:
                yield Finding(
                    entry.file,
                    line_at(entry.node, (position, key)),
                    host,
                    f"{entry.name}[{position}].{key}",
                    declared[key],
                    f"{declared[key]!r} is no number of sub-ids for {name}",
                    "Write a whole number from 1 on, without quotes or units",
                )
            width = declared.get("subid_count") or values.of(host, "subids_width")[0]
            # What Ansible still has to work out, the role compares.
            if (
                wrong
                or declared["subid_start"] is None
                or not _is_number(declared["subid_start"])
                or not _is_number(width)
            ):
                continue
            start = int(declared["subid_start"])
            end = start + int(width)
            for other_start, other_end, other in ranges:
                if start < other_end and other_start < end:
                    free = max(range_end for _, range_end, _ in ranges)
                    yield Finding(
                        entry.file,
                        line_at(entry.node, (position, "subid_start")),
                        host,
                        f"{entry.name}[{position}].subid_start",
                        start,
                        f"sub-ids {start} to {end - 1} of {name} overlap {other_start} to {other_end - 1} of {other}",
                        f"Begin at {free}, or leave subid_start out: a free range is chosen then",
                    )
            ranges.append((start, end, name))


def _is_number(value: Any) -> bool:
    """Say whether a role would take it for a number of sub-ids; one that is not declared is well, too."""
    return value is None or (not isinstance(value, bool) and str(value).isdecimal() and int(value) > 0)


def package_findings(inventory: Inventory, values: Values) -> Iterator[Finding]:
    """What is built into the worker must be the same tomorrow."""
    for host in inventory.members("acquisition"):
        packages, entry = values.of(host, "acquisition_packages")
        if entry is None or not isinstance(packages, list):
            continue
        for position, package in enumerate(cast("list[Any]", packages)):
            text = str(package)
            if is_template(text) or "==" in text or "@" in text or text.startswith((".", "/")):
                continue
            yield Finding(
                entry.file,
                line_at(entry.node, (position,)),
                host,
                f"{entry.name}[{position}]",
                text,
                says="this requirement is not pinned, so the worker would be another one tomorrow",
                remedy=f"Write {text}==<version>, or the path of a package, which begins with ./ or /",
            )


def login_findings(inventory: Inventory, values: Values) -> Iterator[Finding]:
    """Where packages come from stays in layers of images, which whoever may pull them can read; a login would, too."""
    for variable in ("site_apt_mirror", "site_pip_index"):
        value, entry = values.of("localhost", variable)
        if entry is not None and isinstance(value, str) and _LOGIN.search(value):
            yield _login(entry.file, entry.line, None, variable, value)
    for host in inventory.members("acquisition"):
        packages, entry = values.of(host, "acquisition_packages")
        if entry is None or not isinstance(packages, list):
            continue
        for position, package in enumerate(cast("list[Any]", packages)):
            if _LOGIN.search(str(package)):
                line = line_at(entry.node, (position,))
                yield _login(entry.file, line, host, f"{entry.name}[{position}]", str(package))


def _login(file: Path, line: int, host: str | None, variable: str, value: str) -> Finding:
    return Finding(
        file,
        line,
        host,
        variable,
        _LOGIN.sub("***", value),
        says="there is a login in it, which would stay in layers of images, where whoever may pull them reads it",
        remedy="Write it without the login, and let that server admit this machine by its address; a package can be a path, too",
    )


def secret_findings(roles: Roles, folder: Path, record: Path) -> Iterator[Finding]:
    """Secrets that never were are made by the next converge; those that were must be there, private and not empty.

    `record` has the names of those that were, a line each.
    """
    declared: dict[str, Any] = roles.lists.get("site_secrets", {})
    names = record.read_text(encoding="utf-8").split() if record.is_file() else []
    lost = [name for name in names if name in declared and not (folder / name).exists()]
    empty = [name for name in declared if (folder / name).is_file() and not (folder / name).stat().st_size]
    new_one = _new_one([name for name in declared if name in {*lost, *empty}])
    for name in lost:
        # Another one, made in silence, would lock out whoever was given this one.
        says = f"the site has had this secret, and {folder / name} is gone: {declared[name].get('description')}"
        remedy = f"Put the file back from a backup, or {new_one}"
        yield Finding(record, names.index(name) + 1, variable=name, says=says, remedy=remedy)
    yield from _secrets_there(folder, declared, new_one)


def _secrets_there(folder: Path, declared: dict[str, Any], new_one: str) -> Iterator[Finding]:
    if not folder.is_dir():
        return
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        says = f"other users of this machine may look into it (mode {mode:04o})"
        yield Finding(folder, 1, variable="site_secrets_dir", says=says, remedy=f"chmod 0700 {folder}")
    for path in sorted(folder.iterdir()):
        if not path.is_file():
            continue
        about = declared.get(path.name, {}).get("description", "a secret")
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            says = f"other users of this machine may read it (mode {mode:04o}): {about}"
            yield Finding(path, 1, variable=path.name, says=says, remedy=f"chmod 0600 {path}")
        if path.stat().st_size == 0:
            says = f"the secret is empty: {about}"
            # Only what is declared can be made anew.
            remedy = f"Write it, or {new_one if path.name in declared else 'remove the file'}"
            yield Finding(path, 1, variable=path.name, says=says, remedy=remedy)


def _new_one(names: list[str]) -> str:
    """All that are lost, whichever is told of: a rotation of fewer would be refused for the others."""
    given = json.dumps({"secrets": names})
    return f"make a new one: ansible-playbook playbooks/rotate_secrets.yml -i <this inventory> -e '{given}'"


def file_findings(values: Values) -> Iterator[Finding]:
    """Files of the control machine that the inventory names must be there."""
    for variable in ("site_ca_bundle",):
        value, entry = values.of("localhost", variable)
        if entry is None or not isinstance(value, str) or not value or is_template(value):
            continue
        path = Path(value).expanduser()
        if not path.is_file():
            says, remedy = "there is no such file on this machine", "Give the path of a file with PEM certificates"
        elif "-----BEGIN CERTIFICATE-----" not in path.read_text(encoding="utf-8", errors="replace"):
            says, remedy = "there is no certificate in it", "Give the path of a file with PEM certificates"
        else:
            continue
        yield Finding(entry.file, entry.line, None, variable, value, says, remedy)
