"""`python -m bluefleet.rehearsal inventories/mysite`: the folder of its rehearsal, on stdout; all else is told on stderr.

An inventory with a hypervisor needs no rehearsal, and is its own, if each of its hosts is virtual. Exit code 2: there can be none, and
no host was touched.
"""

import argparse
import sys
from pathlib import Path

from bluefleet.checkout import find_checkout, find_inventory, is_inventory
from bluefleet.inventory import Finding, Inventory, validate_inventory
from bluefleet.rehearsal import (
    NotARehearsal,
    Rehearsal,
    Subnet,
    addresses_in,
    folder_of,
    made_before,
    not_virtual,
    rehearse,
    write,
)

SUBNET = "172.30.78.0/24"
_REFUSED = 2


def main() -> int:
    """Make it."""
    parser = argparse.ArgumentParser(prog="bluefleet.rehearsal", description="Make the inventory of a rehearsal.")
    parser.add_argument("inventory", type=Path, help="folder of the real site's inventory")
    parser.add_argument("--subnet", default=SUBNET, help=f"network of the virtual hosts ({SUBNET})")
    parser.add_argument(
        "--left", action="store_true", help="tell only what the rehearsal leaves out, and write nothing"
    )
    parser.add_argument(
        "--made",
        action="store_true",
        help="the rehearsal as it was made last, if there is one: the inventory is not read",
    )
    wanted = parser.parse_args()
    checkout, folder = find_checkout(), find_inventory(wanted.inventory)
    try:
        if wanted.made and (made := made_before(folder, checkout)):
            sys.stdout.write(f"{made}\n")
            return 0
        return _make(wanted, folder, checkout)
    except (NotARehearsal, ValueError) as error:
        return _refuse(str(error))


def _make(wanted: argparse.Namespace, folder: Path, checkout: Path) -> int:
    if not is_inventory(folder):
        return _refuse(f"{folder} is no inventory: no hosts.yml is in it")
    site = Inventory(folder)
    laboratory = Inventory(checkout / "inventories" / "lab")
    has_hypervisor = bool(site.members("hypervisor"))
    findings = validate_inventory(folder, checkout)
    if has_hypervisor and not findings:
        findings = list(not_virtual(site, laboratory))
    if findings:
        return _refuse_all(findings, folder)
    if has_hypervisor:
        sys.stdout.write(f"{folder}\n")
        return 0
    target = folder_of(folder.name, checkout)
    made = rehearse(site, laboratory, checkout, Subnet(wanted.subnet), addresses_in(target))
    if made.findings:
        return _refuse_all(made.findings, folder)
    if not wanted.left:
        write(made, target)
        _tell_hosts(made)
    _tell_left(made)
    sys.stdout.write(f"{target}\n")
    return 0


def _tell_hosts(made: Rehearsal) -> None:
    _tell(f"Rehearsing {made.source} on this machine; nothing of the site is contacted or changed.")
    width = max(map(len, made.addresses))
    for host, address in made.addresses.items():
        _tell(f"  {host:<{width}}  {address}  in place of {made.real[host]}")


def _tell_left(made: Rehearsal) -> None:
    _tell("Not rehearsed: hardware, for which twins stand in; the way to the site's hosts, and their packages; and")
    for left in made.left:
        _tell(f"  {left.what} ({left.place}): {left.why}")


def _refuse_all(findings: list[Finding], folder: Path) -> int:
    for finding in findings:
        _tell(str(finding))
    things = "1 thing stands" if len(findings) == 1 else f"{len(findings)} things stand"
    return _refuse(f"{things} against a rehearsal of {folder}; no host was touched.")


def _refuse(words: str) -> int:
    _tell(words)
    return _REFUSED


def _tell(words: str) -> None:
    sys.stderr.write(f"{words}\n")


if __name__ == "__main__":
    sys.exit(main())
