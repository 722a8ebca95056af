"""What python/pyproject.toml asks for is in python/locks, and what the code imports is asked for."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

PYTHON = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((PYTHON / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = {
    **PROJECT["project"]["optional-dependencies"],
    **PROJECT["dependency-groups"],
}
OURS = "bluefleet"
FOLDERS = ("tests", "benchmarks")
# What stands on the path by its own name: modules of those folders and of roles, the package of the images of IOCs, and the
# site package that tests install.
BESIDE = {*FOLDERS, "simulated", "beamline7"} | {
    path.stem for folder in (*FOLDERS, "../roles") for path in (PYTHON / folder).rglob("*.py")
}
# What benchmarks compare with: in an environment of its own that is pinned where it is made, or in an image.
COMPARED = {"bluesky_kafka", "bluesky_queueserver_api", "bluesky_tiled_plugins", "fliswarm"}


def normalised(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def asked(requirements: list[str]) -> set[str]:
    """Names of the distributions, those of our own extras among them."""
    names: set[str] = set()
    for requirement in requirements:
        own = re.fullmatch(rf"{OURS}\[(\w+)\]", requirement)
        name = re.match(r"[\w.-]+", requirement)
        assert name is not None
        names |= asked(EXTRAS[own[1]]) if own else {normalised(name[0])}
    return names


def locked(lock: str) -> set[str]:
    lines = (PYTHON / "locks" / f"{lock}.txt").read_text().splitlines()
    return {normalised(line.partition("==")[0].partition("[")[0]) for line in lines if re.match(r"\w[^ ]*==", line)}


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_an_extra_asks_for_is_in_its_lock(extra: str) -> None:
    assert asked(EXTRAS[extra]) - locked(extra) == set()


def imported(file: Path) -> set[str]:
    """Top names of the modules that are imported anywhere in a file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_what_tests_import_is_asked_for_by_name() -> None:
    """A package that only comes along with another one may be gone after the next `make locks`."""
    names: set[str] = set()
    for folder in FOLDERS:
        for file in (PYTHON / folder).rglob("*.py"):
            names |= imported(file)
    foreign = names - sys.stdlib_module_names - BESIDE - COMPARED - {OURS}
    distributions = packages_distributions()
    missing = {name for name in foreign if name not in distributions}
    assert missing == set()
    wanted = asked(PROJECT["project"]["dependencies"]) | asked(EXTRAS["dev"])
    assert {name for name in foreign if not {normalised(each) for each in distributions[name]} & wanted} == set()
