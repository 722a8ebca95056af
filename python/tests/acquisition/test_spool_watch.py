"""A plan pauses while the spool is nearly full and goes on when there is room; nothing of it is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from bluesky import RunEngine
from bluesky.plans import count
from ophyd.sim import det1

from bluefleet.acquisition.spool_watch import SpoolWatch
from patience import ends_in

pytestmark = pytest.mark.filterwarnings("default")


@dataclass
class Usage:
    """How full the spool is said to be."""

    fraction: float = 0.1


@dataclass
class Spool:
    """A spool of which only the fill matters."""

    fill: Usage

    def usage(self) -> Usage:
        return self.fill


def until(condition: Callable[[], bool]) -> None:
    end = ends_in(20)
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
def test_a_plan_waits_while_the_spool_is_nearly_full_and_then_ends_whole(capsys: pytest.CaptureFixture[str]) -> None:
    fill = Usage()
    engine = RunEngine({})
    watch = SpoolWatch(Spool(fill), engine, look_every=0.05)
    watch.start()
    documents: list[str] = []
    numbers: set[int] = set()

    def note(name: str, document: dict[str, Any]) -> None:
        documents.append(name)
        numbers.add(document.get("seq_num", 0))
        if name == "event" and documents.count("event") == 5:
            fill.fraction = 0.95

    engine.subscribe(note)
    seen: list[int] = []

    def make_room() -> None:
        until(lambda: documents.count("event") >= 5)
        time.sleep(0.6)
        before = documents.count("event")
        time.sleep(0.6)
        seen.extend([before, documents.count("event")])
        fill.fraction = 0.1

    helper = threading.Thread(target=make_room)
    helper.start()
    engine(count([det1], 30, delay=0.05))
    helper.join(20)
    watch.stop()
    assert seen[0] == seen[1] < 30, "no event is taken while it waits"
    # The one that was being taken is taken again, under its old number.
    assert numbers - {0} == set(range(1, 31))
    assert documents[-1] == "stop"
    assert "the spool is nearly full" in capsys.readouterr().out
