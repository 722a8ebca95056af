"""How many points the arrays of frames in Tiled are made of."""

from collections.abc import Sequence


def points(shape: Sequence[int], of_one: Sequence[int], frame_per_point: int | None) -> int | None:
    """How many points an array is made of, whose data key has the shape `of_one`, as bluesky-tiled-plugins lays it out.

    Stacked, points have a dimension of their own, the first; else they follow each other in the first one of theirs.
    """
    one = tuple(of_one)
    if frame_per_point and one[:1] != (frame_per_point,):
        one = (frame_per_point, *(one[1:] if one[:1] == (1,) else one))
    if len(shape) > len(one) or one == (1,):
        return shape[0]
    return shape[0] // one[0] if one[0] else None
