"""What the verbs of the control machine have in common: the checkout, the inventory that is meant, what Ansible makes of it."""

import os
import platform
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bluefleet.cli._fleet import refuse
from bluefleet.cli._place import as_the_fleets_user, on_the_manager

if TYPE_CHECKING:
    from bluefleet.inventory import Rendered, SiteAddresses
    from bluefleet.model import Site


def need(verb: str, *modules: str) -> None:
    """End the command with exit code 2 where it is installed without these, as on the manager."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        _refuse_elsewhere(f"bluefleet {verb}", f"the command is installed here without {' and '.join(missing)}")


def inventory_of(verb: str, given: Path | None = None) -> tuple[Path, Path]:
    """The inventory folder that is meant and the checkout; exit code 2 where there is no such folder, or no checkout."""
    from bluefleet.checkout import NoCheckout, find_checkout, find_inventories, find_inventory, is_inventory

    said = given or os.environ.get("BLUEFLEET_INVENTORY")
    words = f"bluefleet{f' -i {said}' if said else ''} {verb}"
    if as_the_fleets_user():
        _refuse_elsewhere(words, "as user bluefleet it takes no inventory and looks for no checkout")
    try:
        checkout = find_checkout()
    except NoCheckout as error:
        _refuse_elsewhere(words, str(error))
    folder = find_inventory(given)
    if not is_inventory(folder):
        what = (
            f"there is no folder {folder}"
            if not folder.exists()
            else f"{folder} is no inventory: no hosts.yml is in it"
        )
        refuse(what, "-i, --inventory", _nearest(folder.name, find_inventories(checkout), checkout))
    return folder, checkout


def rendered(folder: Path, checkout: Path) -> "Rendered":
    """What Ansible renders of an inventory; exit code 2 where it can't."""
    from bluefleet.inventory import AnsibleMissing, RenderingFailed, render

    try:
        return render(folder, checkout)
    except AnsibleMissing as error:
        refuse(str(error), f"{checkout} on {platform.node()}", "Run .ci/bootstrap there, then .venv/bin/bluefleet")
    except RenderingFailed:
        refuse_inventory(folder)


def addresses_of(verb: str, given: Path | None = None) -> tuple["SiteAddresses", Path]:
    """Everything that one needs to connect to the site that is meant, and its inventory folder."""
    _, addresses, folder = site_of(verb, given)
    return addresses, folder


def site_of(verb: str, given: Path | None = None) -> tuple["Site", "SiteAddresses", Path]:
    """The site that is meant, everything that one needs to connect to it, and its inventory folder."""
    from bluefleet.inventory import site_addresses
    from bluefleet.site_file import SiteFileInvalid, load_site

    folder, checkout = inventory_of(verb, given)
    try:
        found = rendered(folder, checkout)
        return load_site(found.site_file), site_addresses(found), folder
    except SiteFileInvalid:
        refuse_inventory(folder)


def refuse_inventory(folder: Path) -> NoReturn:
    """End with exit code 2: it is the inventory that has to be mended."""
    refuse(
        "the inventory does not make sense",
        str(folder),
        f"Run `bluefleet validate -i {folder}`, which names file and line",
    )


def _refuse_elsewhere(words: str, why: str) -> NoReturn:
    """The verb is right, the machine is not."""
    here = f"{platform.node()}, {'the manager' if on_the_manager() else 'in ' + _where()}"
    remedy = f"Type there, in the checkout from which site.yml is run: .venv/bin/{words}"
    if on_the_manager() and " -i " in words:
        remedy += ". Without -i, what belongs on the manager works here too"
    refuse(f"`{words}` works on the control machine, and not here: {why}", here, remedy)


def _where() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return "a folder that is no longer there"


def _nearest(name: str, there: list[str], checkout: Path) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, [Path(one).name for one in there], n=3)
    if near:
        return f"Did you mean {' or '.join(str(checkout / 'inventories' / one) for one in near)}?"
    return f"In {checkout} there are {', '.join(there) or 'none'}"
