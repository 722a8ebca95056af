#!/usr/bin/python
"""Ansible module: random secrets as files, one each, made once and never changed."""

import secrets
import stat
import string
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: site_secret_files
short_description: Random secrets as files, one each, made once and never changed
description:
  - Makes a file of random letters and digits, mode 0600, for each secret that has none yet.
  - Refuses a file that others can read, and one that is empty.
  - Never returns, logs or changes the content of a secret.
options:
  directory:
    description: Folder on the control machine; made with mode 0700.
    type: path
    required: true
  secrets:
    description: Name of each secret, with its C(length) and C(description).
    type: dict
    required: true
author: bluefleet
"""

ALPHABET = string.ascii_letters + string.digits


def faults_of(path: Path) -> list[str]:
    """Say what is wrong with an existing secret file, and what to do."""
    mode = stat.S_IMODE(path.stat().st_mode)
    faults = []
    if mode & 0o077:
        faults.append(
            f"{path} has mode {mode:04o}, others can read it: chmod 600 {path}, and change the secret if others use this machine"
        )
    if not path.stat().st_size:
        faults.append(f"{path} is empty: remove it, and the next converge makes a new secret")
    return faults


def make(path: Path, length: int) -> None:
    """Write a new secret: its final mode before it has content, its final name after."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text("".join(secrets.choice(ALPHABET) for _ in range(length)))
    unfinished.rename(path)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            # Names and lengths, not secrets: they may be shown.
            "secrets": {"type": "dict", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    directory = Path(module.params["directory"])
    wanted = module.params["secrets"]
    faults = [fault for name in wanted if (directory / name).exists() for fault in faults_of(directory / name)]
    if faults:
        module.fail_json(msg="; ".join(faults))
    absent = [name for name in wanted if not (directory / name).exists()]
    if absent and not module.check_mode:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in absent:
            make(directory / name, int(wanted[name]["length"]))
    module.exit_json(changed=bool(absent), made=absent)


if __name__ == "__main__":
    main()
