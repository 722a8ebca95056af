"""Asks Ansible to render the site file, and how hosts are reached, onto the control machine."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bluefleet.inventory._source import Inventory
from bluefleet.inventory._specs import Roles
from bluefleet.inventory._values import Values

_PLAYBOOK = Path("playbooks") / "site_file.yml"
_DEADLINE_SECONDS = 120


class RenderingFailed(Exception):
    """Ansible did not render the site file; the message is what Ansible said."""


class AnsibleMissing(RenderingFailed):
    """Nobody is there to be asked."""


class Connection(BaseModel):
    """How the control machine reaches a host: Ansible's variables, templated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    local: bool = Field(default=False, description="Whether it is this machine itself")
    address: str = Field(description="IP address or DNS name")
    port: int = Field(default=22, description="Port of sshd")
    user: str = Field(default="", description="User to log in as; empty for ssh's own choice")
    key_file: str = Field(default="", description="Private key; empty for ssh's own choice")
    arguments: str = Field(default="", description="Further arguments of ssh, as one shell-like text")


class ControlMachine(BaseModel):
    """What only the control machine needs to know of a site."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secrets_dir: Path = Field(description="Folder with one file a secret")
    pki_dir: Path = Field(description="Folder with authorities and certificates")
    connections: dict[str, Connection] = Field(description="How hosts are reached, by name")


@dataclass(frozen=True)
class Rendered:
    """The two files that Ansible rendered."""

    site_file: Path
    control: ControlMachine


def render(folder: Path, checkout: Path, *, afresh: bool = False) -> Rendered:
    """Return the rendered files of an inventory, rendered again when any of its files changed since.

    Raises RenderingFailed.
    """
    state = Values(Inventory(folder), Roles(checkout / "roles")).path("site_state_dir", ".state")
    site_file, control_file = state / "site.yml", state / "control.json"
    if not afresh and site_file.is_file() and control_file.is_file():
        control = _read(control_file)
        if control is not None and control_file.stat().st_mtime > _newest(folder, checkout):
            return Rendered(site_file, control)
    _run_playbook(folder, checkout)
    control = _read(control_file)
    if control is None or not site_file.is_file():
        raise RenderingFailed(f"{_PLAYBOOK} left no {site_file} and {control_file} that can be read")
    # Ansible leaves a file alone that need not change: its time says when it was last known to be right.
    control_file.touch()
    return Rendered(site_file, control)


def _read(control_file: Path) -> ControlMachine | None:
    """Read what was rendered; a file of another version of this project is as good as none."""
    try:
        return ControlMachine.model_validate_json(control_file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError):
        return None


def _newest(folder: Path, checkout: Path) -> float:
    written = [path for path in folder.rglob("*.y*ml") if ".state" not in path.parts]
    written += (checkout / "roles").glob("*/defaults/main.yml")
    written += [*(folder / ".state").glob("images.yml"), checkout / "roles" / "fleet" / "templates" / "fleet.yml.j2"]
    return max((path.stat().st_mtime for path in written if path.exists()), default=0.0)


def _run_playbook(folder: Path, checkout: Path) -> None:
    beside = Path(sys.executable).with_name("ansible-playbook")
    program = str(beside) if beside.exists() else shutil.which("ansible-playbook")
    if program is None:
        raise AnsibleMissing("there is no ansible-playbook on this machine; .ci/bootstrap installs it")
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    try:
        done = subprocess.run(
            [program, "-i", str(folder), str(_PLAYBOOK)],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_DEADLINE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RenderingFailed(f"{_PLAYBOOK} did not end within {_DEADLINE_SECONDS} s") from error
    if done.returncode != 0:
        raise RenderingFailed((done.stdout + done.stderr).strip())
