"""Where the checkout is that this package was installed from, and which of its inventories is meant."""

import os
from pathlib import Path


class NoCheckout(Exception):
    """The command needs playbooks and roles, and is not on a control machine."""


def find_checkout() -> Path:
    """Return the folder with ansible.cfg and roles: around the working directory, else around this package.

    Raises NoCheckout when there is none, as on the manager.
    """
    for start in (*_working_directory(), Path(__file__).resolve().parent):
        for folder in (start, *start.parents):
            if _is_checkout(folder):
                return folder
    raise NoCheckout("no checkout of bluefleet (a folder with ansible.cfg and roles/) around here")


def find_inventory(given: Path | None = None) -> Path:
    """Return the inventory folder: the given one, else $BLUEFLEET_INVENTORY, else the laboratory's."""
    chosen = given or (Path(text) if (text := os.environ.get("BLUEFLEET_INVENTORY")) else None)
    folder = chosen or find_checkout() / "inventories" / "lab"
    return (folder.parent if folder.is_file() and folder.stem == "hosts" else folder).resolve()


def is_inventory(folder: Path) -> bool:
    """Whether there is a list of hosts in the folder: Ansible would try to read, or to run, whatever else it finds."""
    return any(folder.glob("hosts.y*ml"))


def find_inventories(checkout: Path) -> list[str]:
    """Return the inventories of a checkout, as one names them with -i."""
    return sorted(f"inventories/{each.name}" for each in (checkout / "inventories").glob("*") if is_inventory(each))


def _working_directory() -> list[Path]:
    try:
        return [Path.cwd()]
    except FileNotFoundError:  # somebody removed it
        return []


def _is_checkout(folder: Path) -> bool:
    try:
        return (folder / "ansible.cfg").is_file() and (folder / "roles").is_dir()
    except PermissionError:  # the command runs as a user of its own on the manager: a person's home is closed to it
        return False
