"""The demonstration of adaptive scans, typed at a desktop as its page says: bsui, over SSH, without a display."""

from __future__ import annotations

import os

import pytest
from lab_desktop import Typed, gone_within, ssh
from lab_runs import positions

pytestmark = [pytest.mark.lab, pytest.mark.minutes, pytest.mark.timeout(300)]

TYPED = "RE(adaptive_plan([det], {motor: 0}, to_recommender=to_recommender, from_recommender=from_recommender))"


def test_the_demonstration_is_typed_and_takes_17_runs() -> None:
    session = Typed([*ssh("-x", "-t"), "bsui --headless"], {**os.environ, "TERM": "xterm"})
    session.until("In [")
    # What is typed is echoed, and must not look like what is printed when all is over.
    session.type(f"runs = {TYPED}; print('RUNS', 'ARE', *runs, 'THAT', 'IS', 'ALL')")
    session.until("RUNS ARE ")
    uids = session.until(" THAT IS ALL").split()
    session.type("exit")
    assert session.ended() == 0
    assert positions(uids, "motor") == [1.5 * number for number in range(17)]
    assert gone_within(20)
