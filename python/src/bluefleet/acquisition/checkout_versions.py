"""What a checkout of a package lacks: `_version`, a module that is made when the package is built, and that git ignores.

bluesky, event_model, ophyd, ophyd_async, tiled and others import it first of all. A developer's clone stays as it is: nothing
is written there, the module exists in the process alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from types import ModuleType


class CheckoutVersions(MetaPathFinder, Loader):
    """Makes `PACKAGE._version` for these checkouts: the version that is installed, with `+checkout`."""

    def __init__(self, checkouts: Iterable[str]) -> None:
        self._packages = frozenset(name.replace("-", "_") for name in checkouts)

    def find_spec(self, fullname: str, _path: object, _target: object = None, /) -> ModuleSpec | None:
        package, _, module = fullname.partition(".")
        if module != "_version" or package not in self._packages:
            return None
        return ModuleSpec(fullname, self, origin="made for a checkout")

    def exec_module(self, module: ModuleType) -> None:
        """The names that setuptools-scm and hatch-vcs write."""
        text = _version_of(module.__name__.partition(".")[0])
        parts = tuple(int(part) if part.isdigit() else part for part in re.split(r"[.+]", text))
        module.__dict__.update(
            version=text, __version__=text, version_tuple=parts, __version_tuple__=parts, commit_id=None, __commit_id__=None
        )  # fmt: skip


def provide_versions(checkouts: Iterable[str]) -> None:
    """Before anything imports them. A checkout that has the module keeps its own: others are asked first."""
    sys.meta_path.append(CheckoutVersions(checkouts))


def distributions_of(checkout: str) -> list[str]:
    """The installed ones whose package a checkout takes the place of: `dodal` comes with one that is called `dls-dodal`."""
    # An installation that lists no files is known by its own name only.
    return packages_distributions().get(checkout.replace("-", "_"), [checkout.replace("_", "-")])


def _version_of(package: str) -> str:
    for distribution in distributions_of(package):
        with suppress(PackageNotFoundError):
            return f"{version(distribution).partition('+')[0]}+checkout"
    return "0+checkout"
