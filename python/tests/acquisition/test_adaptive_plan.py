"""The plan of adaptive scans, with a RunEngine and simulated devices; with Kafka and Redis it is tested elsewhere."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest
from bluesky import RunEngine
from bluesky.plan_stubs import trigger_and_read
from bluesky.utils import RunEngineInterrupted
from event_model import RunRouter

from bluefleet.acquisition.adaptive.campaign import Turn
from bluefleet.acquisition.adaptive.ends import Recommendations, ToRecommender
from bluefleet.acquisition.adaptive.errors import CampaignWrong, RecommenderFailed, RecommenderSilent
from bluefleet.acquisition.adaptive.mailbox import Answer
from bluefleet.acquisition.adaptive.plan import adaptive, adaptive_plan
from bluefleet.acquisition.plans import __all__ as queued

pytestmark = pytest.mark.filterwarnings("default")

Documents = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def devices() -> Any:
    from ophyd import sim

    motor = sim.SynAxis(name="motor")
    return sim.SynGauss("det", motor, "motor", center=0, Imax=1, sigma=1), motor


@pytest.fixture
def engine() -> RunEngine:
    return RunEngine(context_managers=[])


class Given:
    """A mailbox that holds recommendations already."""

    def __init__(self, *answers: Answer | None) -> None:
        self.answers = answers

    def answered(self, _campaign: str, number: int) -> Answer | None:
        return self.answers[number] if number < len(self.answers) else None

    def of(self, campaign: str) -> Recommendations:
        return Recommendations(self, campaign)  # pyright: ignore[reportArgumentType] - as much of it as is asked


def starts(documents: Documents) -> list[dict[str, Any]]:
    return [document for name, document in documents if name == "start"]


def test_a_callback_and_a_queue_take_17_runs_by_steps_of_one_and_a_half(engine: RunEngine, devices: Any) -> None:
    det, motor = devices
    answers: queue.Queue[Any] = queue.Queue()
    answers.put({"motor": 99.0})  # somebody's who went away
    begun: list[int] = []

    def decide(name: str, document: dict[str, Any]) -> None:
        if name == "start":
            begun.append(document["batch_count"])
        if name == "event_page":
            at = document["data"]["motor"][-1]
            answers.put({"motor": at + 1.5} if begun[-1] < 16 else None)

    documents: Documents = []
    uids = engine(
        adaptive_plan(
            [det],
            {motor: 0},
            to_recommender=RunRouter([lambda _name, _start: ([decide], [])]),
            from_recommender=answers,
        ),
        lambda name, document: documents.append((name, document)),
    )
    events = [document["data"] for name, document in documents if name == "event"]
    assert [event["motor"] for event in events] == [1.5 * number for number in range(17)]
    assert len(uids) == 17  # pyright: ignore[reportArgumentType]
    assert len({start["batch_id"] for start in starts(documents)}) == 1
    assert [start["batch_count"] for start in starts(documents)] == list(range(17))


def test_each_start_document_says_all_that_a_recommender_must_know(engine: RunEngine, devices: Any) -> None:
    det, motor = devices
    documents: Documents = []
    to_recommender = ToRecommender("step", {"step": 2}, runs=2)
    engine(
        adaptive_plan(
            [det],
            {motor: 1},
            to_recommender=to_recommender,
            from_recommender=Given(Answer({"motor": 3.0}), Answer()),
            md={"sample": "gold"},
            deadline=7,
        ),
        lambda name, document: documents.append((name, document)),
    )
    first, second = starts(documents)
    assert (first["sample"], first["plan_name"]) == ("gold", "adaptive_plan")
    turn = Turn.of_start_document(second)
    assert turn == Turn(
        campaign=first["batch_id"],
        number=1,
        recommender="step",
        arguments={"step": 2},
        axes=["motor"],
        fields=["det"],
        point={"motor": 3.0},
        runs=2,
        deadline=7,
    )


def test_no_recommendation_within_the_deadline_ends_the_plan_and_says_what_to_do(
    engine: RunEngine, devices: Any
) -> None:
    det, motor = devices
    with pytest.raises(RecommenderSilent, match=r"after run 1 of campaign .* within 0.3 s: .*bluefleet status"):
        engine(
            adaptive_plan(
                [det],
                {motor: 0},
                to_recommender=ToRecommender(),
                from_recommender=Given(Answer({"motor": 1.5})),
                deadline=0.3,
            )
        )


def test_why_a_recommender_can_not_go_on_is_the_plans_own_failure(engine: RunEngine, devices: Any) -> None:
    det, motor = devices
    with pytest.raises(RecommenderFailed, match="ValueError: no field"):
        engine(
            adaptive_plan(
                [det],
                {motor: 0},
                to_recommender=ToRecommender(),
                from_recommender=Given(Answer(error="ValueError: no field")),
            )
        )


def test_a_recommendation_for_other_axes_moves_nothing(engine: RunEngine, devices: Any) -> None:
    det, motor = devices
    given = Given(Answer({"motr": 1.5}))
    with pytest.raises(RecommenderFailed, match="recommended for motr; the axes are motor"):
        engine(adaptive_plan([det], {motor: 0}, to_recommender=ToRecommender(), from_recommender=given))
    assert motor.position == 0


@pytest.mark.parametrize(
    ("first_point", "to_recommender", "words"),
    [
        ({}, ToRecommender(), "at least one axis"),
        ({"motor": 0}, ToRecommender(), "'motor' is no device that can be moved"),
        (None, ToRecommender("stepp"), "no recommender 'stepp'"),
        (None, ToRecommender(runs=0), "at least one run"),
    ],
)
def test_what_can_not_be_done_is_refused_before_the_first_run(
    engine: RunEngine, devices: Any, first_point: Any, to_recommender: ToRecommender, words: str
) -> None:
    det, motor = devices
    begun: list[str] = []
    plan = adaptive_plan(
        [det],
        {motor: 0} if first_point is None else first_point,
        to_recommender=to_recommender,
        from_recommender=Given(),
    )
    with pytest.raises(CampaignWrong, match=words):
        engine(plan, lambda name, _document: begun.append(name))
    assert begun == []


def test_a_plan_that_waits_can_be_paused_and_finds_what_came_meanwhile(engine: RunEngine, devices: Any) -> None:
    det, motor = devices
    given = Given(None, Answer())
    measured: list[str] = []
    threading.Timer(0.3, engine.request_pause).start()
    with pytest.raises(RunEngineInterrupted):
        engine(
            adaptive_plan([det], {motor: 0}, to_recommender=ToRecommender(), from_recommender=given, deadline=5),
            lambda name, _document: measured.append(name),
        )
    given.answers = (Answer({"motor": 1.5}), Answer())
    engine.resume()
    assert measured.count("start") == 2
    assert motor.position == 1.5


def test_a_plan_that_waits_can_be_aborted(engine: RunEngine, devices: Any) -> None:
    det, motor = devices
    threading.Timer(0.3, engine.request_pause).start()
    plan = adaptive_plan([det], {motor: 0}, to_recommender=ToRecommender(), from_recommender=Given())
    with pytest.raises(RunEngineInterrupted):
        engine(plan)
    engine.abort()
    assert engine.state == "idle"


def test_readings_may_be_taken_in_a_way_of_ones_own(engine: RunEngine, devices: Any) -> None:
    det, motor = devices
    streams: list[str] = []
    engine(
        adaptive_plan(
            [det],
            {motor: 0},
            to_recommender=ToRecommender(runs=1),
            from_recommender=Given(Answer()),
            take_reading=lambda read: trigger_and_read(read, name="mine"),
        ),
        {"descriptor": lambda _name, document: streams.append(document["name"])},
    )
    assert streams == ["mine"]


def test_the_queues_plan_names_no_pairs_what_are_none(engine: RunEngine, devices: Any) -> None:
    det, motor = devices
    with pytest.raises(CampaignWrong, match="1 words are no pairs"):
        engine(adaptive([det], motor))
    assert "adaptive" in queued
    assert "adaptive_plan" not in queued


def test_the_queue_can_read_what_its_plan_takes() -> None:
    # It takes annotations that are texts for names of nothing, and refuses every call.
    assert not [name for name, kind in adaptive.__annotations__.items() if isinstance(kind, str)]
