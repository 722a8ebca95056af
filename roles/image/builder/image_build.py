"""Building what is stale, parents before children, a few at once, each image by one process at a time.

Two builders (one in the background of a converge, one in its foreground) may want the same image: a lock for each
image makes the second wait for the first one's result.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from image_engine import Engine, EngineError, seconds_since
from image_lock import only_one
from image_plan import Image

Report = Callable[..., None]
CHECK_DEADLINE = 60.0
# Builds of an image that stay beside the newest: those of other checkouts and of the state before an upgrade.
KEPT = 3


def needed(images: Mapping[str, Image], present: Mapping[str, int], wanted: Iterable[str]) -> list[str]:
    """What has to be built, parents first: what is wanted and absent, and what is absent of all that is made from."""
    stale: set[str] = set()
    for name in reversed(list(images)):
        absent = images[name].reference not in present
        asked = name in wanted or any(name in images[child].parents for child in stale)
        if absent and asked:
            stale.add(name)
    return [name for name in images if name in stale]


def urgency(images: Mapping[str, Image], name: str) -> int:
    """How much is built one after another from this image on, in MB: what has most behind it is built first."""
    children = [child for child, image in images.items() if name in image.parents]
    return images[name].space_mb + max((urgency(images, child) for child in children), default=0)


@dataclass(frozen=True)
class Builder:
    """Builds with one engine, `jobs` images at once; logs and records go to `log_dir`."""

    engine: Engine
    log_dir: Path
    jobs: int
    report: Report

    def build(self, images: Mapping[str, Image], wanted: Iterable[str]) -> list[str]:
        """Build what is needed and return what that was. EngineError when one fails, once the others end."""
        stale = needed(images, self.engine.sizes(image.reference for image in images.values()), wanted)
        self.report("plan", images=list(images), stale=stale)
        if not stale:
            return stale
        self.engine.refuse_a_full_disk(images[name] for name in stale)
        private_folder(self.log_dir)

        waiting = sorted(stale, key=lambda name: -urgency(images, name))
        running: dict[Future[None], str] = {}
        failures: list[str] = []
        with ThreadPoolExecutor(max_workers=self.jobs) as pool:
            while running or (waiting and not failures):
                unfinished = {*waiting, *running.values()}
                ready = [name for name in waiting if not unfinished.intersection(images[name].parents)]
                for name in ready[: self.jobs - len(running)] if not failures else []:
                    waiting.remove(name)
                    running[pool.submit(self._one, images[name])] = name
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    name = running.pop(future)
                    error = future.exception()
                    if isinstance(error, EngineError):
                        failures.append(f"image {name}: {error}")
                    elif error is not None:
                        raise error
        for name in stale:
            self.engine.forget_old(images[name], KEPT)
        if failures:
            raise EngineError("\n".join(failures))
        return stale

    def check_classes(self, image: Image, classes: Iterable[str]) -> None:
        """Every device class of the inventory can be imported in the image; asked once for the same image and classes.

        Not a part of the build: a new device must not make a new image, which would restart the worker.
        """
        record = self.log_dir / "device_classes.json"
        asked = json.dumps({"tag": image.tag, "classes": sorted(set(classes))})
        if record.is_file() and record.read_text(encoding="utf-8") == asked:
            return
        command = ["python", "-m", "bluefleet.devices", "check", *sorted(set(classes))]
        answer = self.engine.run("run", "--rm", "--network", "none", image.reference, *command, deadline=CHECK_DEADLINE)
        if answer.returncode != 0:
            raise EngineError(
                f"image {image.name} lacks a device class that the inventory names: {answer.stderr.strip()}\n"
                "Correct `class` of the device, or add the package that has it to acquisition_packages."
            )
        self.log_dir.mkdir(parents=True, exist_ok=True)
        record.write_text(asked, encoding="utf-8")

    def _one(self, image: Image) -> None:
        log = self.log_dir / f"{image.name}.log"
        with only_one(self.log_dir / f"{image.name}.lock", lambda: self.report("waiting", image=image.name)):
            start = time.monotonic()
            sizes = self.engine.sizes([image.reference])
            if sizes:
                took = recorded(self.log_dir, image).get("seconds", 0.0)
            else:
                self.report("building", image=image.name, log=str(log))
                self.engine.build(image, log)
                took = seconds_since(start)
                sizes = self.engine.sizes([image.reference])
                record = json.dumps({"tag": image.tag, "seconds": took})
                (self.log_dir / f"{image.name}.json").write_text(record, encoding="utf-8")
            self.report("built", image=image.name, tag=image.tag, seconds=took, size=sizes.get(image.reference, 0))


def private_folder(log_dir: Path) -> None:
    """A site's state is nobody else's to read, whoever is the first to need a folder for it."""
    log_dir.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log_dir.mkdir(exist_ok=True)


def roots(
    engine: Engine, programs: Mapping[str, Path], versions: Mapping[str, Any], mirror: str, log_dir: Path, *, make: bool
) -> dict[str, str]:
    """What images start from, by image, as their root programs name it; without `make` only what is there already."""
    made: dict[str, str] = {}
    for name, program in programs.items():
        private_folder(log_dir)
        release = [str(versions["debian_suite"]), str(versions["debian_release"]), *([mirror] if mirror else [])]
        with only_one(log_dir / f"{name}-root.lock", lambda: None):
            command = [str(program), *([] if make else ["--made"]), *release]
            found = engine.root(command, log_dir / f"{name}-root.log")
        made |= {name: found} if found else {}
    return made


def recorded(log_dir: Path, image: Image) -> dict[str, Any]:
    """What was written down when this very image was built here, or nothing."""
    path = log_dir / f"{image.name}.json"
    if not path.is_file():
        return {}
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record if record.get("tag") == image.tag else {}
