"""A site with one real IOC on this machine's loopback, and modules of a site's own plans."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.devices.conftest import iocs

from bluefleet.acquisition import plans
from bluefleet.acquisition.site_plans import SitePlans, load_site_plans

__all__ = ["iocs"]

Load = Callable[..., SitePlans]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Writes modules and loads them over the project's own plans."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def load(**sources: str) -> SitePlans:
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
            sys.modules.pop(name, None)
        return load_site_plans(sources, {name: getattr(plans, name) for name in plans.__all__})

    return load
