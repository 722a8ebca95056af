#!/usr/bin/python
"""Ansible module: the command `bluefleet` is installed on the manager, one folder a version."""

import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: manager_command
short_description: The command bluefleet is installed on the manager
description:
  - Run through the action of the same name, which puts the command together on the control machine for the manager's
    Python and sends it only where it is missing.
  - Each version has its own folder, so a command that runs is not disturbed. The newest and the one before are kept.
options:
  folder:
    description: Folder on the manager with a folder for each version.
    type: path
    required: true
  source:
    description: Folder of the Python package on the control machine. Used by the action.
    type: path
  cache:
    description: Folder on the control machine that keeps archives. Used by the action.
    type: path
  uv:
    description: Program that installs packages on the control machine. Used by the action.
    type: path
  pip_index:
    description: Index of Python packages that the libraries come from; empty for the installer's own. Used by the action.
    type: str
  ca_bundle:
    description: File on the control machine with authorities to trust besides its own; may be empty. Used by the action.
    type: str
  version:
    description: Version in I(archive). Given by the action.
    type: str
  archive:
    description: Archive on the manager. Given by the action; without it the module only tells what is there.
    type: path
author: bluefleet
"""

RETURN = r"""
version:
  description: Version that belongs to the checkout.
  type: str
  returned: always
path:
  description: Folder of that version.
  type: str
  returned: always
"""

# Written last: a folder without it was left behind by an installation that was interrupted.
_COMPLETE = ".complete"


def versions(folder: Path) -> list[Path]:
    """All complete versions, oldest first."""
    return sorted((mark.parent for mark in folder.glob(f"*/{_COMPLETE}")), key=lambda found: found.stat().st_mtime)


def install(module: AnsibleModule, folder: Path, version: str, archive: Path) -> None:
    """Unpack and compile the version, then remove all but the one before."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    target = folder / version
    if target.exists():
        shutil.rmtree(target)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as scratch:
        tree = Path(scratch) / "tree"
        tree.mkdir()
        module.run_command(["tar", "-xzf", str(archive), "-C", str(tree)], check_rc=True)
        # Nothing on a manager edits these files, so Python need not look at their times whenever it starts. A program of its
        # own, because not every strategy runs modules in a process that may fork; a file that can't be compiled is none
        # for this Python, and nobody imports it.
        compiling = [sys.executable, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
        module.run_command([*compiling, "-s", str(tree), "-p", str(target), str(tree)])
        tree.chmod(0o755)
        tree.replace(target)
    (target / _COMPLETE).touch()
    for old in versions(folder)[:-2]:
        shutil.rmtree(old)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "source": {"type": "path"},
            "cache": {"type": "path"},
            "uv": {"type": "path"},
            "version": {"type": "str"},
            "archive": {"type": "path"},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["folder"])
    archive = module.params["archive"]
    if archive:
        install(module, folder, module.params["version"], Path(archive))
    module.exit_json(
        changed=bool(archive),
        installed=[found.name for found in versions(folder)],
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        machine=platform.machine(),
    )


if __name__ == "__main__":
    # The command is everybody's, whatever root's umask.
    os.umask(0o022)
    main()
