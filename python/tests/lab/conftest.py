"""What tests that break the laboratory share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_door import Converge, Mended


@pytest.fixture
def mended(tmp_path: Path) -> Iterator[Mended]:
    """For a test that breaks something: when it did not come to the converge that mends it, that is done here."""
    found = Mended()
    yield found
    if not found.whole:
        Converge(tmp_path / "mended.json").finish().well()
