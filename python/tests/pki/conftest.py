"""The role's Python, importable as it is on the control machine, and a little site to try it on."""

import datetime
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from role_files import load_role_file


@pytest.fixture(scope="session")
def authorities() -> ModuleType:
    """The module that makes authorities and certificates."""
    return load_role_file("pki/module_utils/site_authorities.py")


@pytest.fixture(scope="session")
def ssh_keys() -> ModuleType:
    """The module that makes SSH keys."""
    return load_role_file("pki/module_utils/site_ssh_keys.py")


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
