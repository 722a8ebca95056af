"""bsui-screens: windows of devices. `python -m bluefleet.screens motor_ph`; launcher `bsui-screens` starts it on a desktop."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bluefleet.acquisition import channel_access
from bluefleet.model import Site, device_database
from bluefleet.screens.display import check_display
from bluefleet.screens.errors import ScreenRefused
from bluefleet.site_file import SiteFileInvalid, load_site

if TYPE_CHECKING:
    from bluefleet.screens.window import Shown


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bsui-screens", description="Windows that show devices of the site as they are, and set them."
    )
    parser.add_argument("devices", nargs="*", metavar="DEVICE", help="names of devices, as plans know them")
    parser.add_argument("--list", action="store_true", help="say which devices there are, and open nothing")
    asked = parser.parse_args(given)
    if not asked.devices and not asked.list:
        parser.error("name one device or more; bsui-screens --list says which there are")
    return asked


def table(site: Site) -> str:
    """A device a line: its name, its class, where it is."""
    rows = sorted(
        (placed.device.name, placed.device.class_path, f"{placed.instance.name} on {placed.node.name}")
        for placed in site.placed_devices()
    )
    names, classes = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
    return "".join(f"{name:{names}}  {class_path:{classes}}  {place}\n" for name, class_path, place in rows)


def chosen(site: Site, names: Sequence[str]) -> dict[str, str]:
    """Where each of the devices is, by name. Raises ScreenRefused when the site has no such device."""
    places = {placed.device.name: f"{placed.instance.name} on {placed.node.name}" for placed in site.placed_devices()}
    unknown = [name for name in names if name not in places]
    if unknown:
        raise ScreenRefused(
            f"{site.site} has no device {', '.join(unknown)}; it has: {', '.join(sorted(places)) or 'none'}"
        )
    return {name: places[name] for name in names}


def made(site: Site, places: dict[str, str], folder: Path) -> list[Shown]:
    """The devices with what is shown of them; their registry goes into the folder. Raises ScreenRefused."""
    from bluefleet.devices.loading import load
    from bluefleet.screens.window import Shown

    registry = folder / "devices.json"
    registry.write_text(device_database(site), encoding="utf-8")
    loaded = load(registry, set(places))
    for name, reason in loaded.refused.items():
        raise ScreenRefused(f"{name}: {reason}")
    return [Shown(_mirror_of(loaded.devices[name]), place) for name, place in places.items()]


def _mirror_of(device: Any) -> Any:
    from bluefleet.screens.mirror import NothingToShow, mirror

    try:
        return mirror(device)
    except NothingToShow as error:
        raise ScreenRefused(str(error)) from error
    except Exception as error:
        # A device class is foreign code: it may raise anything.
        raise ScreenRefused(f"{device.name} can't be shown: {type(error).__name__}: {error}") from error


def site_of(environment: Mapping[str, str]) -> Site:
    """The site that the launcher names. Raises ScreenRefused."""
    file = environment.get("BLUEFLEET_FLEET_FILE")
    if not file:
        raise ScreenRefused("environment variable BLUEFLEET_FLEET_FILE is not set; launcher bsui-screens sets it")
    try:
        return load_site(Path(file))
    except SiteFileInvalid as error:
        raise ScreenRefused(str(error)) from error


def show(asked: argparse.Namespace, environment: MutableMapping[str, str], folder: Path) -> int:
    """Do what was asked, and return the exit code when the window is closed. Raises ScreenRefused."""
    site = site_of(environment)
    places = chosen(site, asked.devices)
    if asked.list:
        sys.stdout.write(table(site))
        return 0
    check_display(environment)
    # Before anything imports EPICS: libca reads its address list once.
    channel_access.prepare(site, environment)
    # Qt wants a folder that is nobody else's.
    environment.setdefault("XDG_RUNTIME_DIR", str(folder))
    shown = made(site, places, folder)
    from bluefleet.screens.window import run

    return run(site.site, shown)


def main() -> int:
    asked = arguments()
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    with tempfile.TemporaryDirectory(prefix="bsui-screens-") as folder:
        try:
            return show(asked, os.environ, Path(folder))
        except ScreenRefused as refusal:
            sys.stderr.write(f"bsui-screens: {refusal}\n")
            return 2


if __name__ == "__main__":
    sys.exit(main())
