"""Values of variables as far as they can be known without Ansible: what is written, or a role's default."""

import re
from pathlib import Path
from typing import Any

from bluefleet.inventory._source import Entry, Inventory
from bluefleet.inventory._specs import Roles
from bluefleet.inventory._yaml import is_template

_REFERENCE = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")


class Values:
    """The values that a host has, with the entries that say so."""

    def __init__(self, inventory: Inventory, roles: Roles) -> None:
        self._inventory = inventory
        self._roles = roles

    def of(self, host: str, variable: str) -> tuple[Any, Entry | None]:
        """Return a host's value, and the entry that gives it; no entry when it is a role's default."""
        entry = self._inventory.entry(host, variable)
        value = entry.value if entry else self._roles.defaults.get(variable)
        return (self._filled(host, value) if isinstance(value, str) else value), entry

    def path(self, variable: str, otherwise: str) -> Path:
        """Return a folder on the control machine; `otherwise`, below the inventory, when only Ansible can tell."""
        value, _ = self.of("localhost", variable)
        if not isinstance(value, str) or is_template(value):
            return self._inventory.folder / otherwise
        return self._inventory.folder / value

    def _filled(self, host: str, text: str, depth: int = 0) -> str:
        """Put in values of plain references such as {{ site_state_dir }}; leave everything else to Ansible."""

        def put(match: re.Match[str]) -> str:
            name = match.group(1)
            if name in ("inventory_dir", "site_inventory_dir"):
                return str(self._inventory.folder)
            if name == "inventory_hostname":
                return host
            entry = self._inventory.entry(host, name)
            value = entry.value if entry else self._roles.defaults.get(name)
            if not isinstance(value, str) or depth > 10:
                return match.group(0)
            return self._filled(host, value, depth + 1)

        return _REFERENCE.sub(put, text)
