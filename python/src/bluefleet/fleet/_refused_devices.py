"""Devices that plans must not use, because an operator disabled what serves them: a file that every RunEngine reads."""

import json

from bluefleet.fleet._overrides import Overrides
from bluefleet.fleet._settings import Settings
from bluefleet.fleet._state import State
from bluefleet.fleet._whole_file import needed, write_whole
from bluefleet.model import Site

_THEN = "What operators said is kept, but plans are told what was so before, until `bluefleet apply` writes it"


def refused_devices(site: Site, overrides: Overrides) -> dict[str, str]:
    """Each such device, with who disabled its instance or node, when and why."""
    found: dict[str, str] = {}
    for placed in site.placed_devices():
        disabled = overrides.first(placed.node.name, placed.instance.name, "disabled")
        if disabled is not None:
            found[placed.device.name] = f"{disabled.place} is {disabled.words}"
    return found


def silenced_devices(site: Site, overrides: Overrides) -> set[str]:
    """Devices that need not answer: operators disabled or stopped what serves them."""
    return {
        placed.device.name
        for placed in site.placed_devices()
        if overrides.first(placed.node.name, placed.instance.name, "disabled", "stopped") is not None
    }


def write_refused(site: Site, settings: Settings) -> None:
    """Write the file when it says something else. A plan that begins after this is told; one that runs goes on.

    Raises StateUnusable.
    """
    # The file is of the whole site: nobody changes an override between the look at them and the writing.
    with State(settings.state_file).writing() as connection:
        devices = refused_devices(site, Overrides.within(connection))
        text = json.dumps({"schema_version": 1, "devices": devices}, indent=1, sort_keys=True)
        file = settings.refused_devices_file
        with needed(file, _THEN):
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                write_whole(file, text)
