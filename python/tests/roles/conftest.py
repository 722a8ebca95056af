"""Plugins and modules of roles, loaded from where Ansible finds them."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROLES = Path(__file__).resolve().parents[3] / "roles"


def load_role_file(path: str) -> ModuleType:
    """Import `roles/<path>` as a module."""
    file = ROLES / path
    spec = importlib.util.spec_from_file_location(f"role_file_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def role_file() -> Callable[[str], ModuleType]:
    """How a test imports a file of a role itself."""
    return load_role_file


@pytest.fixture(scope="session")
def firewall() -> ModuleType:
    return load_role_file("firewall/filter_plugins/firewall_rules.py")


@pytest.fixture(scope="session")
def subids() -> ModuleType:
    return load_role_file("subids/library/bluefleet_subids.py")


@pytest.fixture(scope="session")
def host_units() -> ModuleType:
    return load_role_file("_site/library/host_units.py")
