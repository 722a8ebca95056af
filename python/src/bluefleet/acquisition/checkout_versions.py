"""What a checkout of a package lacks: `_version`, a module that is made when the package is built, and that git ignores.

bluesky, event_model, ophyd, ophyd_async, tiled and others import it first of all. A developer's clone stays as it is: nothing
is written there, the module exists in the process alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType


class CheckoutVersions(MetaPathFinder, Loader):
    """Makes `PACKAGE._version` for these distributions: the version that is installed, with `+checkout`."""

    def __init__(self, distributions: Iterable[str]) -> None:
        self._distributions = frozenset(distributions)

    def find_spec(self, fullname: str, _path: object, _target: object = None, /) -> ModuleSpec | None:
        package, _, module = fullname.partition(".")
        if module != "_version" or _distribution(package) not in self._distributions:
            return None
        return ModuleSpec(fullname, self, origin="made for a checkout")

    def exec_module(self, module: ModuleType) -> None:
        """The names that setuptools-scm and hatch-vcs write."""
        text = _version_of(_distribution(module.__name__.partition(".")[0]))
        parts = tuple(int(part) if part.isdigit() else part for part in re.split(r"[.+]", text))
        module.__dict__.update(
            version=text, __version__=text, version_tuple=parts, __version_tuple__=parts, commit_id=None, __commit_id__=None
        )  # fmt: skip


def provide_versions(distributions: Iterable[str]) -> None:
    """Before anything imports them. A checkout that has the module keeps its own: others are asked first."""
    sys.meta_path.append(CheckoutVersions(distributions))


def _distribution(package: str) -> str:
    return package.replace("_", "-")


def _version_of(distribution: str) -> str:
    try:
        public = version(distribution).partition("+")[0]
    except PackageNotFoundError:
        public = "0"
    return f"{public}+checkout"
