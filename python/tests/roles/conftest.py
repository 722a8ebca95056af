"""Plugins and modules of roles, loaded from where Ansible finds them."""

from types import ModuleType

import pytest

from role_files import load_role_file


@pytest.fixture(scope="session")
def firewall() -> ModuleType:
    return load_role_file("firewall/filter_plugins/firewall_rules.py")


@pytest.fixture(scope="session")
def subids() -> ModuleType:
    return load_role_file("subids/library/bluefleet_subids.py")


@pytest.fixture(scope="session")
def host_units() -> ModuleType:
    return load_role_file("_site/library/host_units.py")
