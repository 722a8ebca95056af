#!/usr/bin/python
"""Ansible module: random secrets as files, one each, made once and never changed."""

import json
import secrets
import stat
import string
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: site_secret_files
short_description: Random secrets as files, one each, made once and never changed
description:
  - Makes a file of random letters and digits, mode 0600, for each secret that has never had one.
  - Refuses a file that others can read, one that is empty, and one that is gone.
  - Never returns, logs or changes the content of a secret.
options:
  directory:
    description: Folder on the control machine; made with mode 0700.
    type: path
    required: true
  record:
    description: File with the names of the secrets that have been there, a line each.
    type: path
    required: true
  renewed:
    description: Names of secrets that get a new content, whether they are there or not.
    type: list
    elements: str
    default: []
  secrets:
    description: Name of each secret, with its C(length) and C(description).
    type: dict
    required: true
author: bluefleet
"""

ALPHABET = string.ascii_letters + string.digits


def mode_faults(path: Path) -> list[str]:
    """Say what is wrong with who may read a secret file, and what to do."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & 0o077:
        return []
    return [
        f"{path} has mode {mode:04o}, others can read it: chmod 600 {path}, and change the secret if others use this machine"
    ]


def content_faults(gone: list[Path], renewed: list[str]) -> list[str]:
    """Say what to do about secrets that were there and are lost: another one in silence would lock out who has it.

    The remedy of each names them all, and what is being renewed: a rotation of fewer would be refused for the others.
    """
    names = json.dumps({"secrets": [*renewed, *(path.name for path in gone)]})
    new_one = f"make a new one with playbooks/rotate_secrets.yml -i <this inventory> -e '{names}'"
    return [
        f"{path} is empty: put it back, or {new_one}"
        if path.exists()
        else f"{path} was made before and is gone: put it back from a backup, or {new_one}"
        for path in gone
    ]


def make(path: Path, length: int) -> None:
    """Write a new secret: its final mode before it has content, its final name after."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text("".join(secrets.choice(ALPHABET) for _ in range(length)))
    unfinished.rename(path)


def note(record: Path, names: set[str]) -> None:
    """Write down which secrets there have been."""
    record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = record.with_name(f".{record.name}.unfinished")
    unfinished.write_text("".join(f"{name}\n" for name in sorted(names)))
    unfinished.rename(record)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "record": {"type": "path", "required": True},
            "renewed": {"type": "list", "elements": "str", "default": []},
            # Names and lengths, not secrets: they may be shown.
            "secrets": {"type": "dict", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    directory = Path(module.params["directory"])
    wanted = module.params["secrets"]
    record, renewed = Path(module.params["record"]), set(module.params["renewed"])
    recorded = set(record.read_text().split()) if record.exists() else set()
    there = {name for name in wanted if (directory / name).exists()}
    kept = [name for name in wanted if name not in renewed]
    empty = {name for name in there if not (directory / name).stat().st_size}
    gone = [directory / name for name in kept if name in (recorded - there) | empty]
    faults = [fault for name in kept if name in there for fault in mode_faults(directory / name)]
    faults += content_faults(gone, [name for name in wanted if name in renewed])
    if faults:
        module.fail_json(msg="; ".join(faults))
    absent = [name for name in wanted if name not in there or name in renewed]
    if not module.check_mode:
        if absent:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in absent:
            make(directory / name, int(wanted[name]["length"]))
        if not recorded >= set(wanted):
            note(record, recorded | set(wanted))
    module.exit_json(changed=bool(absent), made=absent)


if __name__ == "__main__":
    main()
