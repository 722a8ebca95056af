"""Runs of Ansible as a person starts them: in a process of their own, from the top of the repository."""

import os
import subprocess
import sys
from pathlib import Path

from patience import PATIENCE

TOP = Path(__file__).resolve().parents[2]


def mitogen() -> dict[str, str]:
    """The environment that switches mitogen on, as `make lab` does."""
    folder = next(Path(sys.executable).parents[1].glob("lib/python3.*/site-packages/ansible_mitogen/plugins/strategy"))
    return {"ANSIBLE_STRATEGY": "mitogen_linear", "ANSIBLE_STRATEGY_PLUGINS": str(folder)}


def run_playbook(
    inventory: Path, playbook: Path | str, *arguments: str, timeout: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What a playbook ended with, and all that it printed."""
    return subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, playbook, *arguments],
        cwd=TOP,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=timeout * PATIENCE,
        check=False,
    )
