"""A checkout gets the module that its build would make, and nothing else does."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from bluefleet.acquisition.checkout_versions import provide_versions

GENERATED = ["version", "__version__", "version_tuple", "__version_tuple__", "commit_id", "__commit_id__"]


@pytest.fixture
def checkouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that Python looks in; what was imported from it goes again."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def package(folder: Path, name: str, source: str) -> Path:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(source, encoding="utf-8")
    return folder / name


def installed(folder: Path, distribution: str, number: str, package: str) -> None:
    """What an installer leaves beside a package."""
    about = folder / f"{distribution.replace('-', '_')}-{number}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {number}\n", encoding="utf-8"
    )
    (about / "top_level.txt").write_text(package, encoding="utf-8")


def test_it_has_all_names_that_a_build_writes(checkouts: Path) -> None:
    package(checkouts, "seven_eight", f"from ._version import {', '.join(GENERATED)}")
    provide_versions(["seven-eight"])
    made = importlib.import_module("seven_eight")
    assert (made.version, made.__version__) == ("0+checkout", "0+checkout")
    assert made.version_tuple == made.__version_tuple__ == (0, "checkout")


def test_the_version_is_that_of_what_it_takes_the_place_of(checkouts: Path) -> None:
    provide_versions(["event-model"])
    installed = version("event-model")
    package(checkouts, "event_model", "from ._version import __version__, version_tuple")
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "event_model"}
    try:
        made = importlib.import_module("event_model")
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "event_model"]:
            del sys.modules[name]
        sys.modules.update(kept)
    assert made.__version__ == f"{installed}+checkout"
    assert made.version_tuple == (*map(int, installed.split(".")), "checkout")


def test_the_distribution_may_have_another_name_than_its_package(checkouts: Path) -> None:
    package(checkouts, "eleven", "from ._version import __version__, version_tuple")
    installed(checkouts, "dls-eleven", "7.1", "eleven")
    provide_versions(["eleven"])
    made = importlib.import_module("eleven")
    assert (made.__version__, made.version_tuple) == ("7.1+checkout", (7, 1, "checkout"))


def test_a_checkout_that_was_built_keeps_its_own(checkouts: Path) -> None:
    built = package(checkouts, "nine", "from ._version import version")
    (built / "_version.py").write_text("version = '9.1'", encoding="utf-8")
    provide_versions(["nine"])
    assert importlib.import_module("nine").version == "9.1"


def test_what_is_no_checkout_goes_without(checkouts: Path) -> None:
    package(checkouts, "ten", "from ._version import version")
    provide_versions(["eleven"])
    with pytest.raises(ModuleNotFoundError, match=r"ten\._version"):
        importlib.import_module("ten")
