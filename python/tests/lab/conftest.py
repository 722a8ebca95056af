"""What several tests of the laboratory share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_door import Converge, Mended
from lab_queue import LabQueue


@pytest.fixture
def mended(tmp_path: Path) -> Iterator[Mended]:
    """For a test that breaks something: when it did not come to the converge that mends it, that is done here."""
    found = Mended()
    yield found
    if not found.whole:
        Converge(tmp_path / "mended.json").finish().well()


@pytest.fixture
def queue() -> Iterator[LabQueue]:
    """The queue, with an open environment."""
    found = LabQueue()
    found.open()
    yield found
    found.close()
