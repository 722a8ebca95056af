"""The command on the manager is put together anew when, and only when, what it is made from changes."""

import shutil
from pathlib import Path
from types import ModuleType

import pytest

from role_files import load_role_file

TOP = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def action() -> ModuleType:
    """The action plug-in, as a module."""
    return load_role_file("fleet/action_plugins/manager_command.py")


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A copy of what the command is made from."""
    (tmp_path / "locks").mkdir()
    shutil.copy(TOP / "python/locks/manager.txt", tmp_path / "locks")
    shutil.copytree(TOP / "python/src", tmp_path / "src")
    return tmp_path


def test_the_same_sources_are_the_same_version(action: ModuleType, python: Path) -> None:
    before = action.version_of(python, "3.13", "x86_64")
    cache = python / "src/bluefleet/__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "left.pyc").write_bytes(b"compiled by somebody")
    assert action.version_of(python, "3.13", "x86_64") == before


def test_a_changed_source_lock_or_python_is_another_version(action: ModuleType, python: Path) -> None:
    versions = {action.version_of(python, "3.13", "x86_64"), action.version_of(python, "3.12", "x86_64")}
    (python / "src/bluefleet/new.py").write_text("")
    versions.add(action.version_of(python, "3.13", "x86_64"))
    (python / "locks/manager.txt").write_text("")
    versions.add(action.version_of(python, "3.13", "x86_64"))
    assert len(versions) == 4
