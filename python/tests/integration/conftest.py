"""Fixtures of the tests with real databases and brokers, and which of these tests begin first."""

from __future__ import annotations

import pytest
from document_stack import images, stack

__all__ = ["images", "stack"]

# They take minutes: none of them shall be left over at the end, when nothing runs beside it any more.
LONGEST = ("test_replay", "test_back_up", "test_document_path", "test_frames", "test_mongo_store", "test_fleet_update")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in order of their time; pytest-xdist hands them out so, told not to go by how many tests there are in each."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
