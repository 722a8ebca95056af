"""Where the checkout is that this package was installed from, and which of its inventories is meant."""

import os
from pathlib import Path


class NoCheckout(Exception):
    """The command needs playbooks and roles, and is not on a control machine."""


def find_checkout() -> Path:
    """Return the folder with ansible.cfg and roles: around the working directory, else around this package.

    Raises NoCheckout when there is none, as on the manager.
    """
    for start in (Path.cwd(), Path(__file__).resolve().parent):
        for folder in (start, *start.parents):
            if (folder / "ansible.cfg").is_file() and (folder / "roles").is_dir():
                return folder
    raise NoCheckout("no checkout of bluefleet (a folder with ansible.cfg and roles/) around here")


def find_inventory(given: Path | None = None) -> Path:
    """Return the inventory folder: the given one, else $BLUEFLEET_INVENTORY, else the laboratory's."""
    chosen = given or (Path(text) if (text := os.environ.get("BLUEFLEET_INVENTORY")) else None)
    folder = chosen or find_checkout() / "inventories" / "lab"
    return (folder.parent if folder.is_file() else folder).resolve()
