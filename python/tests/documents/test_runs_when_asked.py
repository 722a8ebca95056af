"""`db` of a terminal connects when it is asked, and a Tiled that is away stops nothing but the question."""

from __future__ import annotations

from typing import Any

import pytest

from bluefleet.documents.errors import Unavailable
from bluefleet.documents.runs_when_asked import RunsWhenAsked


class Tiled:
    """Away until `back`; counts who connects."""

    def __init__(self) -> None:
        self.back = False
        self.asked = 0

    def connect(self) -> Any:
        self.asked += 1
        if not self.back:
            raise Unavailable("Tiled at https://data/tiled: connection refused")
        return ["first", "last"]


def test_nothing_is_asked_before_runs_are() -> None:
    tiled = Tiled()
    db = RunsWhenAsked(tiled.connect)
    assert not hasattr(db, "_repr_html_")
    assert not hasattr(db, "_ipython_canary_method_should_not_exist_")
    assert dir(db)
    assert tiled.asked == 0


def test_a_tiled_that_is_away_is_told_and_asked_again() -> None:
    tiled = Tiled()
    db = RunsWhenAsked(tiled.connect)
    with pytest.raises(Unavailable, match="connection refused"):
        db[-1]
    assert repr(db) == "<no runs: Tiled at https://data/tiled: connection refused>"
    tiled.back = True
    assert db[-1] == "last"
    assert len(db) == 2
    assert db.index("first") == 0
    assert tiled.asked == 3
