"""A container of the person who calls, without root, with windows on their display; it goes when its program ends."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SETTINGS = Path("/etc/bluefleet/desktop/bsui.json")


class Refused(Exception):
    """Nothing can be started as asked; nothing was."""


def own_folder(settings: Mapping[str, Any], person: str) -> Path:
    """What the desktop keeps for the person alone. Raises Refused when it keeps nothing."""
    own = Path(settings["folder"]) / person
    if not own.is_dir():
        raise Refused(f"{person} is none of this desktop's desktop_users: ask whoever provisions it")
    return own


def display(
    environment: Mapping[str, str], home: Path, *, otherwise: str = ""
) -> tuple[dict[Path, str], dict[str, str]]:
    """What a program needs to open windows. Raises Refused when there is no display."""
    name = environment.get("DISPLAY")
    if not name:
        raise Refused(f"there is no display: log in with `ssh -X`{otherwise}")
    sockets, cookies = Path("/tmp/.X11-unix"), Path(environment.get("XAUTHORITY") or home / ".Xauthority")  # noqa: S108
    return (
        {sockets: str(sockets), cookies: "/run/xauthority"},
        {"DISPLAY": name, "XAUTHORITY": "/run/xauthority"},
    )


def podman_run(
    settings: Mapping[str, Any], name: str, volumes: Mapping[Path, str], inside: Mapping[str, str]
) -> list[str]:
    """The call of podman, up to what is particular to a program. `inside` is the program's environment."""
    return [
        "podman", "--storage-opt", f"additionalimagestore={settings['store']}",
        "run", "--rm", "--init", "--pull=never", f"--name={name}-{os.getpid()}", "--network=host", "--user=0:0",
        "--cap-drop=all", "--security-opt=no-new-privileges", "--log-driver=none",
        # The image lies in a store that all share: nobody may write to it.
        "--read-only",
        *(f"--env={variable}={value}" for variable, value in inside.items()),
        *(f"--volume={path}:{where}" for path, where in volumes.items() if path.exists()),
    ]  # fmt: skip


def become(program: str, call: Callable[[Mapping[str, Any], str], list[str]]) -> None:
    """Make the call, of the settings and the person, and run it in the place of this program; or say why not."""
    try:
        try:
            settings = json.loads(SETTINGS.read_text(encoding="utf-8"))
        except OSError as error:
            raise Refused(f"{SETTINGS}: {error.strerror}; this host has no terminal yet") from error
        command = call(settings, getpass.getuser())
    except Refused as refusal:
        sys.exit(f"{program}: {refusal}")
    # What ends the terminal ends podman, and podman the container.
    os.execvpe(command[0], command, {**os.environ, "PODMAN_IGNORE_CGROUPSV1_WARNING": "1"})  # noqa: S606  (it is none)
