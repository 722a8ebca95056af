"""What variables the roles know: their argument specs, and the defaults beside them."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

# How a service says which of the site's images it runs.
_SITE_IMAGE = re.compile(r"\bsite_images\.([A-Za-z_]\w*)")


@dataclass(frozen=True)
class Option:
    """A variable of a role, as its meta/argument_specs.yml declares it."""

    role: str
    name: str
    type: str = "str"
    choices: list[Any] = field(default_factory=list[Any])


class Roles:
    """All roles of a checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def options(self) -> dict[str, Option]:
        """Every variable that some role declares."""
        found: dict[str, Option] = {}
        for path in sorted(self.folder.glob("*/meta/argument_specs.y*ml")):
            role = path.parent.parent.name
            entry_points: dict[str, Any] = _read(path).get("argument_specs") or {}
            for entry_point in entry_points.values():
                options: dict[str, Any] = entry_point.get("options") or {}
                for name, spec in options.items():
                    found.setdefault(name, Option(role, name, spec.get("type", "str"), spec.get("choices") or []))
        return found

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Every default of some role; those that are templates are still templates."""
        found: dict[str, Any] = {}
        for path in sorted(self.folder.glob("*/defaults/main.y*ml")):
            found |= _read(path)
        return found

    @cached_property
    def lists(self) -> dict[str, Any]:
        """The lists of `_site` that exist once: site_ports, site_secrets, site_uids."""
        return self._vars("_site")

    @cached_property
    def mirrors(self) -> dict[str, str]:
        """Images that are mirrored instead of built when that is chosen: key → where they are published."""
        path = self.folder.parent / "images" / "versions.yml"
        return _read(path).get("mirrors") or {} if path.is_file() else {}

    def images_of_pod(self, pod: str) -> dict[str, list[str]]:
        """The image keys that the services of a pod run, each with those services, as the pod's role declares them."""
        services: dict[str, Any] = self._vars(pod).get(f"_{pod}_services") or {}
        found: dict[str, list[str]] = {}
        for name, service in services.items():
            for key in _SITE_IMAGE.findall(str(service["image"])):
                found.setdefault(key, []).append(name)
        return found

    def _vars(self, role: str) -> dict[str, Any]:
        path = self.folder / role / "vars" / "main.yml"
        return _read(path) if path.is_file() else {}


def _read(path: Path) -> dict[str, Any]:
    # Ten times as fast as Python's own, and validation is typed by people.
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) or {}
