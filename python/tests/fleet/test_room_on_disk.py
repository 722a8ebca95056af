"""A disk that is nearly full is said to be, in the unit that images and the room of a laboratory are told in."""

from datetime import UTC, datetime

import pytest

from bluefleet.fleet import Disk

GB = 10**9


@pytest.mark.parametrize(
    ("free", "total", "trouble"),
    [
        (1.9, 100, "its disk is nearly full: 1.9 of 100 GB free"),
        (0.5, 500, "its disk is nearly full: 0.5 of 500 GB free"),
        (2, 100, ""),
        # A small disk: a tenth of it.
        (1, 10, ""),
    ],
)
def test_a_disk_is_in_trouble_when_little_of_it_is_free_and_that_is_little(
    free: float, total: int, trouble: str
) -> None:
    assert Disk(free=int(free * GB), total=total * GB, seen=datetime.now(UTC)).trouble == trouble
