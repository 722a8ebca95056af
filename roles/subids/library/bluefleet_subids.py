#!/usr/bin/python
"""Ansible module: the ranges of sub-ids of the declared users, in /etc/subuid and /etc/subgid alike."""

from __future__ import annotations

import grp
import os
import pwd
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: bluefleet_subids
short_description: Ranges of sub-ids of declared users
description:
  - Gives each declared user a range in the sub-id files.
  - Refuses, before writing, a range that overlaps another user's or holds an existing uid or gid.
  - A user with a declared start has that range and no other. Lines of users that are not declared stay as they are.
options:
  users:
    description: Names, or dicts with C(name), C(subid_start) and C(subid_count).
    type: list
    elements: raw
    required: true
  first:
    description: First sub-id that is given out.
    type: int
    default: 200000
  width:
    description: How many sub-ids a user gets.
    type: int
    default: 65536
  files:
    description: The sub-id files, all brought to the same ranges.
    type: list
    elements: path
    default: [/etc/subuid, /etc/subgid]
  pending:
    description:
      - File with the users whose podman has yet to be told of their range, one a line. Written before the ranges are, so
        that an interrupt between the two loses nobody. Whoever told them removes it.
    type: path
    required: true
author: bluefleet
"""

NARROW = 65536  # nobody is uid 65534: a range must be at least this wide for it to exist inside


class Refused(Exception):
    """The declared ranges can't be given; nothing was written."""


@dataclass(frozen=True)
class Range:
    """One line of a sub-id file: `user:start:count`."""

    user: str
    start: int
    count: int

    @property
    def end(self) -> int:
        """First sub-id after the range."""
        return self.start + self.count

    def overlaps(self, other: Range) -> bool:
        return self.start < other.end and other.start < self.end

    def __str__(self) -> str:
        return f"{self.user}:{self.start}:{self.count}"


@dataclass(frozen=True)
class Wish:
    """What the inventory declares for one user; `start` is None when any free range will do."""

    user: str
    start: int | None
    count: int


def wishes(users: Sequence[Any], width: int) -> list[Wish]:
    """The declared users in order. Raises Refused on an entry that names nobody or stands twice."""
    found: dict[str, Wish] = {}
    for entry in users:
        declared = {"name": entry} if isinstance(entry, str) else dict(entry)
        name = declared.get("name")
        if not name:
            raise Refused(f"subids_users: {entry!r} has no name")
        if name in found:
            raise Refused(f"subids_users: {name} stands there twice")
        start = declared.get("subid_start")
        count = int(declared.get("subid_count") or width)
        if count < 1 or (start is not None and int(start) < 1):
            raise Refused(f"subids_users: the range of {name} must start and be at least 1 wide")
        found[name] = Wish(name, None if start is None else int(start), count)
    return list(found.values())


def parse(text: str) -> list[Range]:
    """Ranges of a sub-id file; lines that are none (comments) are left out."""
    ranges: list[Range] = []
    for line in text.splitlines():
        fields = line.strip().split(":")
        if len(fields) == 3 and fields[1].isdigit() and fields[2].isdigit():
            ranges.append(Range(fields[0], int(fields[1]), int(fields[2])))
    return ranges


def assign(wanted: Sequence[Wish], files: Sequence[Sequence[Range]], taken: Sequence[int], first: int) -> list[Range]:
    """A range for each wish.

    `files` are the ranges that stand in each sub-id file, `taken` the uids and gids that exist on the host.
    A wish without start is satisfied by a range the user has in every file when it is wide enough.
    """
    present = [r for file in files for r in file]
    moving = {wish.user for wish in wanted if wish.start is not None}
    staying = [r for r in present if r.user not in moving]
    given: list[Range] = []
    declared = [Range(wish.user, wish.start, wish.count) for wish in wanted if wish.start is not None]
    for wish in wanted:
        if wish.start is not None:
            mine = Range(wish.user, wish.start, wish.count)
        else:
            kept = [r for r in files[0] if r.user == wish.user and r.count >= wish.count and all(r in f for f in files)]
            # Not from what a user leaves in this run: files of that user's containers still have those owners.
            mine = kept[0] if kept else next_free(wish, [*present, *declared, *given], taken, first)
        refuse_conflict(mine, [*staying, *declared, *given], taken)
        given.append(mine)
    return given


def next_free(wish: Wish, used: Sequence[Range], taken: Sequence[int], first: int) -> Range:
    """The lowest range from `first` on that nobody has."""
    start = first
    while True:
        candidate = Range(wish.user, start, wish.count)
        blockers = [r.end for r in used if r.overlaps(candidate)]
        blockers += [i + 1 for i in taken if candidate.start <= i < candidate.end]
        if not blockers:
            return candidate
        start = max(blockers)


def refuse_conflict(mine: Range, others: Sequence[Range], taken: Sequence[int]) -> None:
    """Raises Refused when the range belongs to somebody else, in part or whole."""
    for other in others:
        if other.user != mine.user and mine.overlaps(other):
            raise Refused(
                f"the range {mine.start}-{mine.end - 1} of {mine.user} overlaps {other.start}-{other.end - 1} "
                f"of {other.user}; give {mine.user} another subid_start (free from {max(r.end for r in others)} on)"
            )
    clash = [i for i in taken if mine.start <= i < mine.end]
    if clash:
        raise Refused(
            f"the range {mine.start}-{mine.end - 1} of {mine.user} contains the id {min(clash)} of an existing "
            "user or group; give it another subid_start"
        )


def narrow(given: Sequence[Range]) -> list[str]:
    """A warning for each range in which user nobody doesn't exist."""
    return [
        f"the range of {r.user} is {r.count} wide: containers run, but `su nobody` and `chown 65534` fail inside them; "
        f"{NARROW} is the usual width"
        for r in given
        if r.count < NARROW
    ]


def with_ranges(text: str, given: Sequence[Range], moving: Collection[str] = ()) -> str:
    """The file's text with the missing ranges added at its end; other ranges of the users in `moving` are taken out."""
    present = parse(text)
    lines = [line for line in text.splitlines() if not any(r.user in moving and r not in given for r in parse(line))]
    missing = [str(r) for r in given if r not in present]
    if lines == text.splitlines() and not missing:
        return text
    return "\n".join([*lines, *missing]) + "\n"


def altered(before: str, after: str) -> set[str]:
    """Users whose ranges are others now."""
    return {r.user for r in set(parse(before)) ^ set(parse(after))}


def write(path: Path, text: str) -> None:
    """Replace the file in one step, with mode 0644 as the distribution has it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as out:
        out.write(text)
        os.fchmod(out.fileno(), 0o644)
        os.fsync(out.fileno())
    Path(name).replace(path)


def existing_users() -> set[str]:
    return {entry.pw_name for entry in pwd.getpwall()}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "users": {"type": "list", "elements": "raw", "required": True},
            "first": {"type": "int", "default": 200000},
            "width": {"type": "int", "default": 65536},
            "files": {"type": "list", "elements": "path", "default": ["/etc/subuid", "/etc/subgid"]},
            "pending": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    paths = [Path(name) for name in module.params["files"]]
    before = {path: path.read_text() if path.exists() else "" for path in paths}
    taken = [entry.pw_uid for entry in pwd.getpwall()] + [entry.gr_gid for entry in grp.getgrall()]
    try:
        wanted = wishes(module.params["users"], module.params["width"])
        given = assign(wanted, [parse(text) for text in before.values()], taken, module.params["first"])
    except Refused as refusal:
        module.fail_json(msg=f"{refusal}. Nothing was changed.")
        return
    for warning in narrow(given):
        module.warn(warning)

    moving = {wish.user for wish in wanted if wish.start is not None}
    after = {path: with_ranges(text, given, moving) for path, text in before.items()}
    changed = [path for path in paths if after[path] != before[path]]
    # a user who is made later has no containers yet, so nothing to migrate
    moved = {user for path in changed for user in altered(before[path], after[path])} & existing_users()
    pending = Path(module.params["pending"])
    waiting = set(pending.read_text().split()) & existing_users() if pending.exists() else set[str]()
    if not module.check_mode:
        if moved:
            pending.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            write(pending, "".join(f"{user}\n" for user in sorted(moved | waiting)))
        for path in changed:
            write(path, after[path])
    module.exit_json(
        changed=bool(changed or waiting),
        ranges={r.user: {"start": r.start, "count": r.count} for r in given},
        to_migrate=[] if module.check_mode else sorted(moved | waiting),
        diff=[
            {"before_header": str(p), "after_header": str(p), "before": before[p], "after": after[p]} for p in changed
        ],
    )


if __name__ == "__main__":
    main()
