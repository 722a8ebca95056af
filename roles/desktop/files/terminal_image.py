#!/usr/bin/python3
"""terminal-image REFERENCE…: this desktop's shared store has the images of people's programs, and everybody may read them.

People's podman reads the store beside their own, so that nobody needs a copy. Prints `changed` when it was not so before.
Other images of the store go, but not while a terminal or a screen is open.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import urllib.parse
from pathlib import Path

PROGRAMS = (b"bluefleet.acquisition.terminal", b"bluefleet.screens")


def podman(store: Path, *arguments: str, registry: str = "") -> str:
    call = ["podman", "--root", str(store), "--runroot", "/run/bluefleet-images", *arguments]
    environment = {**os.environ, "PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}
    if registry:
        # A proxy is the way out of a site, not to its own hosts.
        host = urllib.parse.urlsplit(f"//{registry}").hostname or registry
        known = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
        environment["NO_PROXY"] = environment["no_proxy"] = f"{known},{host}" if known else host
    done = subprocess.run(call, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"terminal-image: podman {arguments[0]} ended with {done.returncode}")
    return done.stdout


def images(store: Path) -> dict[str, list[str]]:
    """The digests of each image, by its id."""
    found = json.loads(podman(store, "images", "--all", "--format", "json") or "[]")
    return {image["Id"]: image.get("RepoDigests") or [] for image in found}


def open_to_all(store: Path) -> bool:
    """What describes images and layers can be read by everybody, and layers be reached; their files keep their modes."""
    layers = store / "overlay"
    described = [*(store / "overlay-images").rglob("*"), *(store / "overlay-layers").rglob("*")]
    described += [store, layers, store / "overlay-images", store / "overlay-layers"]
    described += [*layers.glob("*"), *layers.glob("*/link"), *layers.glob("*/lower")]
    changed = False
    for path in described:
        if path.is_symlink():
            continue
        mode = path.stat().st_mode & 0o7777
        wanted = mode | (0o555 if path.is_dir() else 0o444)
        if wanted != mode:
            path.chmod(wanted)
            changed = True
    return changed


def in_use() -> bool:
    """Whether a process of any person is one of these programs."""
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = command.read_bytes()
        except OSError:
            continue
        if any(program in words for program in PROGRAMS):
            return True
    return False


def main() -> None:
    parser = argparse.ArgumentParser(prog="terminal-image")
    parser.add_argument("references", nargs="+", metavar="REFERENCE")
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--authfile", type=Path)
    parser.add_argument("--no-tls", action="store_true")
    parser.add_argument("--check", action="store_true", help="only say what would be")
    asked = parser.parse_args()
    asked.store.mkdir(mode=0o755, parents=True, exist_ok=True)
    before = images(asked.store)
    missing = [wanted for wanted in asked.references if not any(wanted in digests for digests in before.values())]
    if not asked.check:
        login = ["--authfile", str(asked.authfile)] if asked.authfile else []
        plain = ["--tls-verify=false"] if asked.no_tls else []
        for reference in missing:
            podman(asked.store, "pull", "--quiet", *login, *plain, reference, registry=reference.partition("/")[0])
    old = [name for name, digests in before.items() if not set(digests) & set(asked.references)]
    goes = bool(old) and not in_use()
    if goes and not asked.check:
        podman(asked.store, "rmi", "--force", *old)
    opened = not asked.check and open_to_all(asked.store)
    print("changed" if missing or goes or opened else "unchanged")  # noqa: T201  (its answer to whoever converges)


if __name__ == "__main__":
    main()
