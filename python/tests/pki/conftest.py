"""The role's Python, importable as it is on the control machine, and a little site to try it on."""

import datetime
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROLE = Path(__file__).parents[3] / "roles" / "pki"


def load(path: Path) -> ModuleType:
    """Import a file of the role by path: Ansible's folders are no Python package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def authorities() -> ModuleType:
    """The module that makes authorities and certificates."""
    return load(ROLE / "module_utils" / "site_authorities.py")


@pytest.fixture(scope="session")
def ssh_keys() -> ModuleType:
    """The module that makes SSH keys."""
    return load(ROLE / "module_utils" / "site_ssh_keys.py")


@pytest.fixture
def now() -> datetime.datetime:
    """A moment to count from."""
    return datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)


@pytest.fixture
def converge(authorities: ModuleType, tmp_path: Path, now: datetime.datetime) -> Callable[..., dict[str, Any]]:
    """What the Ansible module does, in a folder of its own: one authority, a server and a client certificate."""

    def run(
        phase: str = "ensure", later: int = 0, write: bool = True, renew_before: int = 30, **server: Any
    ) -> dict[str, Any]:
        moment = now + datetime.timedelta(days=later)
        store = authorities.Store(tmp_path)
        authority = authorities.Authority(store, authorities.AuthoritySpec("site", "a site CA", 3650), moment)
        step = {
            "ensure": lambda: None,
            "introduce": authority.introduce,
            "reissue": authority.promote,
            "retire": authority.retire,
        }
        step[phase]()
        node = authorities.CertificateSpec(
            "hosts/node1/server", "site", "node1", ("node1", "172.30.77.21"), ("server",), 397
        )
        client = authorities.CertificateSpec("clients/manager", "site", "manager", (), ("client",), 397)
        lines = [
            authorities.ensure_certificate(store, spec, authority, renew_before, moment)
            for spec in (replace(node, **server), client)
        ]
        changed = sorted(store.pending)
        if write:
            store.flush()
        return {"changed": changed, "lines": {line.name: line for line in lines}}

    return run
