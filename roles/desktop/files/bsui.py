#!/usr/bin/python3
"""bsui: an IPython terminal of the laboratory, in a container of the person who calls it, without root.

    bsui                    with plots in windows, over `ssh -X` or at the machine itself
    bsui --headless         without: the same table, no display needed
    bsui --dev PATH…        with checkouts of Python packages instead of those of the image
    bsui -- -c 'RE(…)'      what follows -- is IPython's own

The container goes when the terminal ends, however it ends. What it was started with is in bsui.json, by role desktop.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from person_container import Refused, become, display, own_folder, podman_run


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bsui", description="The laboratory's IPython terminal: RE, plans and devices, as the queue has them."
    )
    parser.add_argument("--headless", action="store_true", help="draw nothing; no display is needed")
    parser.add_argument(
        "--dev", nargs="+", default=[], metavar="PATH", type=Path,
        help="checkouts of Python packages to use instead of those of the image, such as ~/bluesky",
    )  # fmt: skip
    parser.add_argument("ipython", nargs="*", metavar="-- ARGUMENT", help="arguments of IPython itself")
    return parser.parse_args(given)


def packages_of(checkout: Path) -> tuple[Path, list[str]]:
    """The folder of a checkout that Python must look in, and the packages there. Raises Refused when there is none."""
    for folder in (checkout / "src", checkout):
        names = sorted(found.parent.name for found in folder.glob("*/__init__.py"))
        names = [name for name in names if name.isidentifier() and name not in ("tests", "docs", "examples")]
        if names:
            return folder, names
    raise Refused(f"--dev {checkout}: no Python package is in it, nor in its src; name the top of a checkout")


def commit_of(checkout: Path) -> str:
    """Which state of it: a commit, and whether it was changed since."""
    try:
        found = subprocess.run(
            ["git", "-C", str(checkout), "describe", "--always", "--dirty"],
            capture_output=True, text=True, check=True, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "of no known commit"
    return f"at {found.stdout.strip()}"


def checkouts(paths: Sequence[Path], home: Path) -> tuple[dict[Path, str], dict[str, str]]:
    """What to mount where, and what the terminal is told of it."""
    mounts: dict[Path, str] = {}
    search: list[str] = []
    said: dict[str, str] = {}
    for number, path in enumerate(path.expanduser().resolve() for path in paths):
        if not path.is_dir():
            raise Refused(f"--dev {path}: there is no such folder")
        folder, names = packages_of(path)
        inside = str(path)
        if not path.is_relative_to(home):
            inside = mounts[path] = f"/run/checkouts/{number}"
        search.append(str(inside / folder.relative_to(path)))
        said |= {name.replace("_", "-"): f"checkout {path} {commit_of(path)}" for name in names}
    return mounts, {"PYTHONPATH": ":".join(search), "BLUEFLEET_CHECKOUTS": json.dumps(said)} if said else {}


def command(
    asked: argparse.Namespace, settings: Mapping[str, Any], *, person: str, environment: Mapping[str, str],
    terminal: bool,
) -> list[str]:  # fmt: skip
    """The call of podman. Raises Refused."""
    home = Path(environment["HOME"]).resolve()
    own = own_folder(settings, person)
    dev_mounts, dev = checkouts(asked.dev, home)
    without = ", or call `bsui --headless`"
    windows, screen = ({}, {}) if asked.headless else display(environment, home, otherwise=without)
    inside = {
        "HOME": str(home),
        "USER": person,
        "TERM": environment.get("TERM", "dumb"),
        # What libraries keep for the next time: nothing is to be left in the home.
        "MPLCONFIGDIR": "/tmp/matplotlib",  # noqa: S108  (the container's own)
        "XDG_CACHE_HOME": "/tmp/cache",  # noqa: S108
        "BLUEFLEET_FLEET_FILE": "/run/bluefleet/fleet.yml",
        "BLUEFLEET_SPOOL_DIR": "/run/spool",
        "BLUEFLEET_WRITER": person,
        "BLUEFLEET_SCREEN": "text" if asked.headless else "windows",
        **settings["environment"],
        **screen,
        **dev,
    }
    volumes = {home: str(home), own: "/run/bluefleet:ro", Path(settings["spool"]) / person: "/run/spool"}
    volumes |= {**windows, **dev_mounts}
    working = Path.cwd()
    return [
        *podman_run(settings, f"bsui-{person}", volumes, inside),
        "--interactive", *(["--tty"] if terminal else []),
        # Mounts need a place in memory.
        f"--tmpfs=/{home.parts[1]}:mode=755",
        f"--workdir={working if working.is_relative_to(home) else home}",
        settings["image"], "python", "-m", "bluefleet.acquisition.terminal", *asked.ipython,
    ]  # fmt: skip


def main() -> None:
    asked = arguments()
    become(
        "bsui",
        lambda settings, person: command(
            asked, settings, person=person, environment=os.environ, terminal=sys.stdin.isatty()
        ),
    )


if __name__ == "__main__":
    main()
