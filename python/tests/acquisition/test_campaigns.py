"""What the recommender service makes of documents, with a mailbox in memory; with Kafka and Redis it is tested elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from event_model import compose_run

from bluefleet.acquisition.adaptive import at_work
from bluefleet.acquisition.adaptive.campaign import Turn
from bluefleet.acquisition.adaptive.campaigns import Campaigns
from bluefleet.acquisition.adaptive.ends import ToRecommender
from bluefleet.acquisition.adaptive.mailbox import Answer, Told
from bluefleet.documents.consumer import Received
from bluefleet.documents.patience import Patience
from patience import ends_in

KEYS: dict[str, Any] = {
    name: {"dtype": kind, "shape": [], "source": "test"}
    for name, kind in (("det", "number"), ("label", "string"), ("frame", "array"))
}


class Memory:
    """A mailbox that keeps what it is given."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, int], Answer] = {}
        self.told: dict[tuple[str, int], Told] = {}

    def answer(self, campaign: str, number: int, answer: Answer) -> None:
        self.answers[campaign, number] = answer

    def answered(self, campaign: str, number: int) -> Answer | None:
        return self.answers.get((campaign, number))

    def remember(self, campaign: str, number: int, told: Told) -> None:
        self.told[campaign, number] = told

    def remembered(self, campaign: str) -> dict[int, Told]:
        return {number: told for (of, number), told in sorted(self.told.items()) if of == campaign}

    def wait(self, campaign: str, number: int) -> Answer:
        """The answer, once it is there."""
        end = ends_in(20)
        while (found := self.answered(campaign, number)) is None:
            assert time.monotonic() < end, f"{campaign} has no answer {number}"
            time.sleep(0.01)
        return found


class Slow:
    """A recommender that computes until it is let go."""

    go = threading.Event()

    def __init__(self, **_: Any) -> None: ...

    def tell(self, x: Any, y: Any) -> None: ...

    def ask(self) -> None:
        self.go.wait(30)


class Broken:
    """A recommender with a mistake."""

    def __init__(self, **_: Any) -> None: ...

    def tell(self, x: Any, y: Any) -> None: ...

    def ask(self) -> Any:
        raise SystemExit("no licence")


class Desk:
    """Documents go in, recommendations come out."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.stopping = threading.Event()
        self.campaigns = Campaigns(memory, self.stopping)  # pyright: ignore[reportArgumentType] - as much of it as is asked
        self.offset = 0

    def send(self, run: str, name: str, document: Any) -> None:
        received = Received(self.offset, run, name, dict(document))
        self.offset += 1
        assert self.campaigns.write([received], Patience(self.stopping)) == []

    def measure(
        self, campaign: str, number: int, at: float, to: ToRecommender, *, values: Any = (7.0,), stop: bool = True
    ) -> None:
        """A whole run."""
        metadata = to.metadata(campaign, number, {"m": at}, ["det"], 5.0)
        start, compose_descriptor, _, compose_stop = compose_run(metadata=metadata)
        run = start["uid"]
        self.send(run, "start", start)
        descriptor, compose_event, _ = compose_descriptor(name="primary", data_keys=KEYS)
        self.send(run, "descriptor", descriptor)
        for value in values:
            data = {"det": value, "label": "x", "frame": np.zeros(3)}
            self.send(run, "event", compose_event(data=data, timestamps=dict.fromkeys(data, 0.0)))
        if stop:
            self.send(run, "stop", compose_stop())


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk(Memory())
    yield made
    Slow.go.set()
    made.stopping.set()
    Slow.go = threading.Event()


def test_two_campaigns_at_once_do_not_mix(desk: Desk) -> None:
    for number in range(3):
        desk.measure("one", number, number * 1.5, ToRecommender(runs=3))
        desk.measure("two", number, number * -2.0, ToRecommender("step", {"step": -2}, runs=3))
    assert [desk.memory.wait("one", n).point for n in range(3)] == [{"m": 1.5}, {"m": 3.0}, None]
    assert [desk.memory.wait("two", n).point for n in range(3)] == [{"m": -2.0}, {"m": -4.0}, None]


def test_a_recommender_is_told_the_mean_of_every_number_that_was_read(desk: Desk) -> None:
    desk.measure("one", 0, 2.0, ToRecommender(), values=(1.0, np.float32(3.0)))
    desk.memory.wait("one", 0)
    assert desk.memory.told["one", 0] == Told({"m": 2.0}, {"det": 2.0})


def test_an_event_that_comes_again_counts_once_and_as_it_came_last(desk: Desk) -> None:
    start, compose_descriptor, _, compose_stop = compose_run(
        metadata=ToRecommender().metadata("one", 0, {"m": 2.0}, ["det"], 5.0)
    )
    desk.send(start["uid"], "start", start)
    descriptor, compose_event, _ = compose_descriptor(name="primary", data_keys=KEYS)
    desk.send(start["uid"], "descriptor", descriptor)
    for seq_num, value in ((1, 1.0), (2, 9.0), (1, 1.0), (2, 3.0)):
        data = {"det": value, "label": "x", "frame": np.zeros(3)}
        timestamps = dict.fromkeys(data, 0.0)
        desk.send(start["uid"], "event", compose_event(data=data, timestamps=timestamps, seq_num=seq_num))
    desk.send(start["uid"], "stop", compose_stop())
    desk.memory.wait("one", 0)
    assert desk.memory.told["one", 0].y == {"det": 2.0}


def test_a_service_that_is_restarted_tells_the_recommender_everything_again(desk: Desk) -> None:
    told: list[tuple[Any, Any]] = []

    class Listening:
        def __init__(self, **_: Any) -> None: ...

        def tell(self, x: Any, y: Any) -> None:
            told.append((x["m"], y["det"]))

        def ask(self) -> Any:
            return {"m": 9.0}

    to = ToRecommender(f"{__name__}.Listening")
    globals()["Listening"] = Listening
    desk.measure("one", 0, 0.0, to, values=(5.0,))
    desk.measure("one", 1, 1.0, to, values=(6.0,))
    assert desk.memory.wait("one", 1).point == {"m": 9.0}
    told.clear()
    again = Desk(desk.memory)
    again.measure("one", 1, 1.0, to, values=(6.0,))  # comes again, and is answered already
    again.measure("one", 2, 2.0, to, values=(7.0,))
    desk.memory.wait("one", 2)
    assert told == [(0.0, 5.0), (1.0, 6.0), (2.0, 7.0)]
    again.stopping.set()


def test_a_campaign_that_computes_for_long_keeps_no_other_one_waiting_and_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.measure("slow", 0, 0.0, ToRecommender(f"{__name__}.Slow"))
    held_from = desk.offset - 4
    desk.measure("quick", 0, 0.0, ToRecommender())
    assert desk.memory.wait("quick", 0).point == {"m": 1.5}
    # What has no recommendation yet is read again after a restart, as long as its plan waits.
    assert desk.campaigns.needed_from(desk.offset) == held_from
    assert desk.campaigns.problems() == []
    later = time.monotonic() + 10
    monkeypatch.setattr(at_work.time, "monotonic", lambda: later)
    (trouble,) = desk.campaigns.problems()
    assert "has been computing for 10 s" in trouble or "has been computing for 9 s" in trouble


def test_a_mistake_in_a_recommender_is_its_plans_failure_and_nobody_elses(desk: Desk) -> None:
    desk.measure("broken", 0, 0.0, ToRecommender(f"{__name__}.Broken"))
    desk.measure("well", 0, 0.0, ToRecommender())
    assert "SystemExit: no licence" in desk.memory.wait("broken", 0).error
    assert desk.memory.wait("well", 0).point == {"m": 1.5}


def test_a_run_without_numbers_is_told_to_the_plan(desk: Desk) -> None:
    desk.measure("one", 0, 0.0, ToRecommender(), values=())
    assert "no numbers in its stream 'primary'" in desk.memory.wait("one", 0).error


def test_a_campaign_that_is_not_understood_is_told_to_the_plan(desk: Desk) -> None:
    about = {"recommender": "step", "axes": [], "point": {}, "runs": 3, "deadline": 5}
    desk.send("r", "start", {"uid": "r", "batch_id": "one", "batch_count": 0, "adaptive": about})
    assert "axes: List should have at least 1 item" in desk.memory.wait("one", 0).error


def test_documents_that_make_no_sense_stop_nothing(desk: Desk) -> None:
    desk.measure("one", 0, 0.0, ToRecommender(), stop=False)
    (run,) = desk.campaigns._measuring
    desk.send(run, "event", {"no": "event"})
    desk.send("other", "start", {"adaptive": 3, "batch_id": 4})
    desk.send("other", "stop", {})
    desk.measure("two", 0, 0.0, ToRecommender())
    assert desk.memory.wait("two", 0).point == {"m": 1.5}
    assert desk.campaigns.needed_from(desk.offset) in (desk.offset, desk.offset - 4)


def test_a_page_with_a_column_that_is_short_stops_nothing(desk: Desk) -> None:
    desk.measure("one", 0, 0.0, ToRecommender(), stop=False)
    ((run, measuring),) = desk.campaigns._measuring.items()
    (descriptor,) = measuring.readings._descriptors
    page = {"descriptor": descriptor, "seq_num": [1, 2], "uid": ["a"], "time": [0.0], "data": {}, "timestamps": {}}
    desk.send(run, "event_page", page)
    assert desk.campaigns.needed_from(desk.offset) == desk.offset


def test_a_run_that_fails_ends_its_campaign_without_an_answer(desk: Desk) -> None:
    desk.measure("one", 0, 0.0, ToRecommender(), stop=False)
    (run,) = desk.campaigns._measuring
    assert desk.campaigns.needed_from(desk.offset) == 0
    desk.send(run, "stop", {"run_start": run, "exit_status": "abort"})
    assert desk.campaigns.needed_from(desk.offset) == desk.offset
    assert desk.memory.answers == {}


def test_what_start_documents_say_comes_back_and_other_runs_are_no_campaign() -> None:
    said = ToRecommender("step", {"step": 2}, 3).metadata("one", 1, {"m": 2.0}, ["det"], 9.0)
    turn = Turn.of_start_document({"uid": "r", **said})
    assert turn is not None
    assert turn.in_start_document() == said
    assert Turn.of_start_document({"uid": "r", "batch_id": "one", "batch_count": 1}) is None
