"""Builds and pushes a site's images: `python roles/image/builder < order.json`.

The order says what is wanted (its fields are the options of `bluefleet_image`); what happens is told on stdout, a JSON
object a line; the last one has event `result` or `error`. Ends when the process named in `while_alive` is gone.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from image_archive import prepare
from image_build import Builder, needed, recorded, roots
from image_engine import Engine, EngineError
from image_plan import Image, PlanError, Site, plan, refuse_logins, root_programs
from image_registry import Registry, RegistryError

_output = threading.Lock()


def report(event: str, **values: Any) -> None:
    """Tell one thing that happened."""
    with _output:
        sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
        sys.stdout.flush()


def main(order: dict[str, Any]) -> None:
    """Do what the order says: state `planned`, `built` or `pushed`; with `ahead`, built and made ready to be pushed."""
    if order.get("while_alive"):
        threading.Thread(target=_end_with, args=(int(order["while_alive"]),), daemon=True).start()
    engine = Engine(order["engine"])
    log_dir = Path(order["log_dir"])
    published: dict[str, str] = order["published"]
    wanted = [name for name in order["images"] if name not in published]
    images = _images(order, engine, wanted)
    registry = Registry.of(order["registry"])

    if order["state"] == "planned":
        stale = needed(images, engine.sizes(image.reference for image in images.values()), wanted)
    else:
        builder = Builder(engine, log_dir, order["jobs"], report)
        stale = builder.build(images, wanted)
        if "bluesky" in wanted and order["device_classes"]:
            builder.check_classes(images["bluesky"], order["device_classes"])
    sizes = engine.sizes(images[name].reference for name in wanted)
    built = [images[name] for name in wanted]
    result: dict[str, dict[str, Any]] = {
        image.name: {"tag": image.tag, "local": image.reference, "size": sizes.get(image.reference, 0)}
        for image in built
    }
    pushed: list[str] = []

    if registry and order["ahead"]:
        prepare(engine, functools.partial(_unknown, registry, built), log_dir)
    if registry and order["state"] != "built":
        digests = registry.digests(built)
        mirrors = registry.mirrored_digests(published)
        missing = [image for image in built if image.name not in digests]
        unmirrored = {name: reference for name, reference in published.items() if name not in mirrors}
        if order["state"] == "pushed":
            digests |= registry.push(engine, missing, log_dir, report)
            mirrors |= registry.mirror(unmirrored, report)
        pushed = [*(image.name for image in missing), *unmirrored]
        for name, digest in {**digests, **mirrors}.items():
            entry = result.setdefault(name, {"tag": digest[7:19], "size": 0, "published": published.get(name)})
            entry |= {"digest": digest, "reference": registry.reference(name, digest)}
    elif not registry:
        for name, reference in published.items():
            digest = reference.partition("@")[2]
            result[name] = {"tag": digest[7:19], "size": 0, "published": reference}
            result[name] |= {"digest": digest, "reference": reference}
    if registry and order["state"] == "pushed" and pushed:
        used = [entry["digest"] for entry in result.values()]
        report("forgotten", tags=registry.forget_old(pushed, order["kept_tags"], used))
    seconds = {image.name: recorded(log_dir, image).get("seconds", 0.0) for image in built}
    changed = bool(stale or pushed)
    if order["state"] == "pushed" and order["record"]:
        changed = _record(Path(order["record"]), result) or changed
    report("result", changed=changed, images=result, built=stale, pushed=pushed, seconds=seconds)


def _images(order: dict[str, Any], engine: Engine, wanted: list[str]) -> dict[str, Image]:
    """The wanted images and their ancestors. What they start from is made for it, unless nothing shall be."""
    repository, declared = Path(order["repository"]), order["declared"]
    site = Site(
        uids=order["uids"],
        ca_bundle=order["ca_bundle"],
        apt_mirror=order["apt_mirror"],
        pip_index=order["pip_index"],
        packages=tuple(order["packages"]),
    )
    # The mirror is an argument of those programs, and arguments every user of this machine can list.
    refuse_logins(site)
    programs = root_programs(repository, declared, wanted)
    release = functools.partial(roots, engine, programs, declared["versions"], site.apt_mirror, Path(order["log_dir"]))
    site = dataclasses.replace(site, roots=release(make=False))
    images = plan(repository, declared, wanted, site)
    if order["state"] == "planned" or set(programs) <= set(site.roots):
        return images
    # The first that takes room, and all of them will follow.
    engine.refuse_a_full_disk(images.values())
    return plan(repository, declared, wanted, dataclasses.replace(site, roots=release(make=True)))


def _unknown(registry: Registry, built: list[Image]) -> list[Image]:
    """The images that the registry lacks: on a new site, where it does not answer yet, all of them."""
    try:
        digests = registry.digests(built)
    except (RegistryError, OSError):
        digests = {}
    return [image for image in built if image.name not in digests]


def _record(path: Path, images: dict[str, dict[str, Any]]) -> bool:
    """Write what hosts pull to a YAML file, `site_images` of role _site; tells whether that is news."""
    lines = ["# Written by role image: what hosts pull. Not for people to edit.", "site_images:"]
    for name in sorted(images):
        lines.append(f"  {name}:")
        lines += [f"    {key}: {json.dumps(value)}" for key, value in sorted(images[name].items())]
    text = "\n".join(lines) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8")
    return True


def _end_with(process: int) -> None:
    while _runs(process):
        time.sleep(1)
    # docker build ends when its client does; nothing half built is ever tagged.
    os.killpg(os.getpgrp(), signal.SIGTERM)


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


if __name__ == "__main__":
    try:
        main(json.load(sys.stdin))
    except (PlanError, EngineError, RegistryError) as error:
        report("error", message=str(error))
        sys.exit(1)
