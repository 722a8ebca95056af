"""How long the queue is idle between two plans, beside a bare queueserver in the same run.

``python benchmarks/queue_idle.py`` needs a container engine, and builds those of this tree's images that are not there.
Each queue is a container of the project's image with a Redis of its own: one with this project's start-up, publisher
and spool, one with queueserver's own start and a RunEngine that does nothing else. ``--keep`` writes the figure to
docs/reference/performance.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python" / "tests"), str(ROOT / "python" / "tests" / "integration")]

from document_stack import SOURCE, docker, images_of_this_tree, listens, wait_for  # noqa: E402 - see above

from bluefleet.model import device_database  # noqa: E402 - see above
from bluefleet.site_file import load_site  # noqa: E402 - see above
from figures import Figure, report, speed_ms  # noqa: E402 - see above

PAGE = ROOT / "docs" / "reference" / "performance.md"
HERE = Path(__file__).parent
PLANS = 31
# Seconds by which medians differ from one run to the next; the manager's own rhythm is ten times as long.
NOISE = 0.05
SITE = {"schema_version": 1, "site": "bench", "hosts": {}, "registry": None, "images": {}, "nodes": []}
PERMISSIONS = "/source/bluefleet/acquisition/user_group_permissions.yaml"
OURS = ("python", "-m", "bluefleet.acquisition.re_manager")
BARE = (
    "start-re-manager", "--startup-script=/bench/queue_idle_bare.py", "--existing-plans-devices=/tmp/queue/plans.yaml",
    f"--user-group-permissions={PERMISSIONS}", "--redis-addr=redis",
)  # fmt: skip


@contextmanager
def queue(image: str, redis: str, command: tuple[str, ...], folder: Path) -> Iterator[str]:
    """A RE manager with its Redis, on a network of their own; the container's name."""
    name = f"bluefleet-bench-{uuid.uuid4().hex[:8]}"
    docker("network", "create", name)
    started: list[str] = []
    try:
        started.append(docker(
            "run", "--detach", "--network", name, "--network-alias", "redis", redis,
            "redis-server", "--bind", "*", "--protected-mode", "no", "--appendonly", "yes", "--save", "",
        ))  # fmt: skip
        settings = {
            "PYTHONPATH": "/source",
            "PYTHONDONTWRITEBYTECODE": "1",
            "BLUEFLEET_FLEET_FILE": "/site/fleet.yml",
            "BLUEFLEET_DEVICES_FILE": "/site/devices.json",
            "BLUEFLEET_SPOOL_DIR": "/tmp/spool",  # noqa: S108 - of its container
            "BLUEFLEET_QUEUE_DIR": "/tmp/queue",  # noqa: S108
            "BLUEFLEET_REDIS_ADDRESS": "redis:6379",
        }
        started.append(docker(
            "run", "--detach", "--init", "--name", name, "--network", name,
            "--volume", f"{SOURCE}:/source:ro", "--volume", f"{HERE}:/bench:ro", "--volume", f"{folder}:/site:ro",
            *(f"--env={key}={value}" for key, value in settings.items()),
            image, "sh", "-c", 'mkdir /tmp/queue; test "$1" = start-re-manager || mkdir /tmp/spool; exec "$@"', "sh", *command,
        ))  # fmt: skip
        address = docker("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name)
        wait_for(listens(address, 60615), "the RE manager", 90)
        yield name
    finally:
        if started:
            docker("rm", "--force", "--volumes", *started)
        docker("network", "rm", name)


def idle(image: str, redis: str, command: tuple[str, ...], folder: Path) -> float:
    """Median seconds from one plan's stop document to the next one's start document."""
    with queue(image, redis, command, folder) as name:
        seen = docker("exec", name, "python", "-W", "ignore", "/bench/queue_idle_inside.py", str(PLANS))
    return statistics.median(json.loads(seen.splitlines()[-1]))


def main() -> None:
    """Measure both, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help=f"write the figure into {PAGE.relative_to(ROOT)}")
    chosen = parser.parse_args()
    before_ms = speed_ms()
    images = images_of_this_tree()
    image, redis = images["bluesky"], images["redis"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fleet.yml"
        file.write_text(yaml.safe_dump(SITE), encoding="utf-8")
        (Path(folder) / "devices.json").write_text(device_database(load_site(file)), encoding="utf-8")
        Path(folder).chmod(0o755)
        bare, ours = (idle(image, redis, command, Path(folder)) for command in (BARE, OURS))
    name = f"idle between two of {PLANS} queued plans, stop to start; bare queueserver 0.0.25"
    figures = [Figure(name, "no worse", f"{ours:.2f} s; {bare:.2f} s (medians)", ours <= bare + NOISE)]
    report(figures, before_ms, PAGE if chosen.keep else None, "queue figures")


if __name__ == "__main__":
    main()
