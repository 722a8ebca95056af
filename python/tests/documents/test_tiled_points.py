"""Points are counted as the consolidators of bluesky-tiled-plugins lay them out."""

import pytest

from bluefleet.documents.tiled_points import points


@pytest.mark.parametrize(
    ("shape", "of_one", "frame_per_point", "count"),
    [
        ((7, 1, 5, 6), [1, 5, 6], None, 7),
        ((7, 5, 6), [5, 6], None, 7),
        ((7,), [], None, 7),
        # A single number has no dimension of its own when it is stacked.
        ((7,), [1], None, 7),
        # One after the other, as rows of a table are.
        ((21, 4), [3, 4], None, 7),
        ((0, 4), [0, 4], None, None),
        # The number of frames stands in the place of a 1, before the rest, or alone.
        ((7, 3, 5, 6), [1, 5, 6], 3, 7),
        ((7, 3, 5, 6), [5, 6], 3, 7),
        ((7, 3, 5, 6), [3, 5, 6], 3, 7),
        ((7, 1, 5, 6), [5, 6], 1, 7),
        ((7, 3), [], 3, 7),
        ((21, 5, 6), [1, 5, 6], 3, 7),
        ((21,), [1], 3, 7),
    ],
)
def test_points_are_counted(
    shape: tuple[int, ...], of_one: list[int], frame_per_point: int | None, count: int | None
) -> None:
    assert points(shape, of_one, frame_per_point) == count
