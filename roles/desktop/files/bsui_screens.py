#!/usr/bin/python3
"""bsui-screens: windows of the site's devices, in a container of the person who calls it, without root.

    bsui-screens motor_ph pinhole    shows and sets these, over `ssh -X` or at the machine itself
    bsui-screens --list              says which devices there are

The container sees the site file and the display, and nothing of the person's home.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from person_container import Refused, become, display, own_folder, podman_run

# What needs no window; the program in the image says what else is wrong with what is asked.
WITHOUT_WINDOW = {"--list", "--help", "-h"}


def command(
    asked: Sequence[str], settings: Mapping[str, Any], *, person: str, environment: Mapping[str, str]
) -> list[str]:
    """The call of podman. Raises Refused."""
    if not settings.get("screens_image"):
        raise Refused("this desktop has no screens: desktop_screens of its inventory is false")
    own = own_folder(settings, person)
    needs_none = not asked or WITHOUT_WINDOW & set(asked)
    windows, screen = ({}, {}) if needs_none else display(environment, Path(environment["HOME"]))
    inside = {
        # Qt and what it keeps for the next time: nothing is to be left.
        "HOME": "/tmp",  # noqa: S108  (the container's own)
        "BLUEFLEET_FLEET_FILE": "/run/bluefleet/fleet.yml",
        **screen,
    }
    volumes = {own / "fleet.yml": "/run/bluefleet/fleet.yml:ro", **windows}
    return [
        *podman_run(settings, f"bsui-screens-{person}", volumes, inside),
        settings["screens_image"], "python", "-m", "bluefleet.screens", *asked,
    ]  # fmt: skip


def main() -> None:
    become(
        "bsui-screens",
        lambda settings, person: command(sys.argv[1:], settings, person=person, environment=os.environ),
    )


if __name__ == "__main__":
    main()
