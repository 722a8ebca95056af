"""The laboratory's figures, as a person would take them: whole commands, timed from outside.

``python benchmarks/lab.py`` needs a running lab and leaves it running; ``--warm`` takes the lab down and up again first, ``--cold`` purges
it, its caches and the tools first; ``--keep`` writes the figures into docs/reference/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from figures import Figure, report, speed_ms

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "performance.md"
PLAYBOOK = str(ROOT / ".venv" / "bin" / "ansible-playbook")
BLUEFLEET = str(ROOT / ".venv" / "bin" / "bluefleet")
LAB = ROOT / "inventories" / "lab"
# No step of the lab takes longer on the smallest machine; a step that hangs must end.
DEADLINE_S = 1800
MIB = 2**20


def run(*command: str, env: dict[str, str] | None = None) -> tuple[float, str]:
    """Seconds that a command took and what it printed. Raises SystemExit with its last lines where it failed."""
    sys.stderr.write(f"… {' '.join(command)}\n")
    begun = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    took = time.monotonic() - begun
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode} after {took:.0f} s:\n{last}")
    return took, done.stdout


def up(name: str, limit_s: float) -> Figure:
    """``make lab``, to the end of its first scan."""
    took, _ = run("make", "lab")
    return Figure(name, f"≤ {limit_s / 60:g} min", f"{took / 60:.1f} min", took <= limit_s)


def changed(recap: str) -> int:
    """The tasks that an Ansible run changed, over all its hosts. Raises ValueError where it names no host."""
    counts = [int(count) for count in re.findall(r"\bchanged=(\d+)", recap)]
    if not counts:
        raise ValueError("no host in the play recap")
    return sum(counts)


def mitogen() -> dict[str, str]:
    """The environment that makes Ansible run by mitogen, as `make lab` sets it."""
    package = importlib.util.find_spec("ansible_mitogen.plugins.strategy")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("mitogen is not installed in this environment: make tools")
    return {"ANSIBLE_STRATEGY": "mitogen_linear", "ANSIBLE_STRATEGY_PLUGINS": package.submodule_search_locations[0]}


def converge(name: str, limit_s: float, env: dict[str, str]) -> Figure:
    """A second ``site.yml``: its time, and that it changes nothing."""
    took, printed = run(PLAYBOOK, "site.yml", "-i", "inventories/lab", env=env)
    count = changed(printed)
    return Figure(
        name, f"≤ {limit_s:.0f} s, changed=0", f"{took:.0f} s, changed={count}", took <= limit_s and count == 0
    )


@contextlib.contextmanager
def inventory_with(device: str) -> Iterator[Path]:
    """A copy of the lab's inventory, of the same site and state, whose mini-beamline serves one device more."""
    copy = LAB.with_name("lab-with-a-device")
    shutil.copytree(LAB, copy, ignore=shutil.ignore_patterns(".state"))
    try:
        (copy / ".state").symlink_to(LAB / ".state")
        node = copy / "host_vars" / "node1.yml"
        anchor = '      - {name: motor_ph, class: bluefleet.devices.Axis, prefix: "mini:ph:"}\n'
        text = node.read_text(encoding="utf-8")
        if anchor not in text:
            raise SystemExit(f"{node}: no line {anchor.strip()!r} to add a device after")
        added = f'      - {{name: {device}, class: bluefleet.devices.ReadOnlySignal, prefix: "mini:dot:img_sum"}}\n'
        node.write_text(text.replace(anchor, anchor + added), encoding="utf-8")
        yield copy
    finally:
        shutil.rmtree(copy)


def loaded(device: str, inventory: Path) -> bool:
    """Whether the queue's allowed devices name it."""
    _, printed = run(BLUEFLEET, "-i", str(inventory), "devices", "list", "--json")
    return any(row["name"] == device and row["state"] == "loaded" for row in json.loads(printed)["devices"])


def uptimes(inventory: Path) -> dict[str, float]:
    """How long each instance has run, in seconds, by node and instance; one that is restarted begins anew."""
    _, printed = run(BLUEFLEET, "-i", str(inventory), "status", "--json")
    nodes = json.loads(printed)["nodes"]
    return {
        f"{node['name']}/{one['name']}": one["uptime_seconds"] or 0.0 for node in nodes for one in node["instances"]
    }


def add_device(limit_s: float, env: dict[str, str]) -> Figure:
    """One device more on a running instance, until the queue allows it; taken out again after."""
    before = uptimes(LAB)
    with inventory_with("bench_spot") as inventory:
        begun = time.monotonic()
        run(PLAYBOOK, "site.yml", "-i", str(inventory.relative_to(ROOT)), "--tags", "fleet", env=env)
        while not loaded("bench_spot", inventory):
            if time.monotonic() - begun > 10 * limit_s:
                raise SystemExit("the queue never allowed the added device")
        took = time.monotonic() - begun
        # The ways to the hosts are those of the inventory that was converged last.
        after = uptimes(inventory)
    restarted = sum(after[name] < up_for for name, up_for in before.items())
    run(PLAYBOOK, "site.yml", "-i", "inventories/lab", "--tags", "fleet", env=env)
    target = f"≤ {limit_s:.0f} s, no container restarted"
    return Figure(
        "add one device, to the queue's allowed devices",
        target,
        f"{took:.0f} s, {restarted} restarted",
        took <= limit_s and not restarted,
    )


def image_sizes(limits_mb: dict[str, int]) -> Iterator[Figure]:
    """Each image's size in the builder's engine."""
    _, printed = run(
        "docker", "image", "ls", "--filter", "label=org.bluefleet.image", "--format", "{{.Repository}}\t{{.ID}}"
    )
    newest: dict[str, str] = {}
    for line in printed.splitlines():
        repository, image = line.split("\t")
        if repository == "<none>":
            continue
        newest.setdefault(repository.rsplit("/", 1)[-1], image)
    for name, image in sorted(newest.items()):
        size = int(run("docker", "image", "inspect", "--format", "{{.Size}}", image)[1]) / 1e6
        limit = limits_mb.get(name)
        yield Figure(
            f"image `{name}`", f"≤ {limit} MB" if limit else "printed", f"{size:.0f} MB", limit is None or size <= limit
        )


def main() -> int:
    """Take the figures, print them, and say by the exit code whether all hold."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--cold", action="store_true", help="purge the lab, its caches and the tools first")
    arguments.add_argument("--warm", action="store_true", help="take the lab down and up again first")
    arguments.add_argument("--keep", action="store_true", help=f"write the figures into {PAGE.relative_to(ROOT)}")
    chosen = arguments.parse_args()
    before_ms = speed_ms()

    figures: list[Figure] = []
    if chosen.cold:
        run("make", "lab-purge")
        figures.append(up("`make lab` from nothing to the first scan", 480))
    if chosen.warm:
        run("make", "lab-down")
        figures.append(up("`make lab` after `make lab-down`", 150))
    fast = mitogen()
    figures.append(converge("second `site.yml`, four hosts, mitogen", 30, fast))
    figures.append(converge("second `site.yml`, four hosts, without mitogen", 75, {}))
    figures.append(add_device(30, fast))
    figures.extend(image_sizes({"ioc": 180, "bluesky": 900}))

    report(figures, before_ms, PAGE if chosen.keep else None)
    return 0 if all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
