"""Why a plan failed is said in words, wherever a person looks for it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from aioca import CANothing
from bluesky import RunEngine
from bluesky.plan_stubs import mv, null, open_run
from bluesky.plans import list_scan
from bluesky.utils import FailedStatus
from ophyd.sim import det1
from ophyd.status import Status

from bluefleet.acquisition.reasons import in_words

pytestmark = pytest.mark.filterwarnings("default")
WRITE_REFUSED = 160


class Refusing:
    """An axis whose sets fail."""

    name = "lid"
    parent = None
    position = 0.0

    def __init__(self, reason: Exception) -> None:
        self._reason = reason

    def set(self, value: Any) -> Status:
        del value
        status = Status()
        status.set_exception(self._reason)
        return status

    def read(self) -> dict[str, Any]:
        return {"lid": {"value": self.position, "timestamp": 0.0}}

    def describe(self) -> dict[str, Any]:
        return {"lid": {"dtype": "number", "shape": [], "source": "a test"}}


@pytest.fixture
def engine() -> RunEngine:
    engine = RunEngine({})
    engine.preprocessors.append(in_words)
    return engine


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (RuntimeError("the key is out"), "a device failed: RuntimeError: the key is out"),
        # Counts as false, unlike all other exceptions.
        (
            CANothing("lid:position", WRITE_REFUSED),
            "a device failed: CANothing: lid:position: Channel write request failed",
        ),
    ],
)
def test_the_reason_of_a_device_is_that_of_the_plan_and_of_its_run(
    engine: RunEngine, reason: Exception, said: str
) -> None:
    stops: list[dict[str, Any]] = []
    engine.subscribe(lambda _, document: stops.append(document), "stop")
    with pytest.raises(FailedStatus) as raised:
        engine(list_scan([det1], Refusing(reason), [1, 2]))
    assert str(raised.value) == said
    assert raised.value.__cause__ is reason
    assert [(stop["exit_status"], stop["reason"]) for stop in stops] == [("fail", said)]


def test_a_plan_that_expects_a_failure_goes_on(engine: RunEngine) -> None:
    def plan() -> Generator[Any, Any, str]:
        try:
            yield from mv(Refusing(RuntimeError("no")), 1)
        except FailedStatus as error:
            yield from null()
            return str(error)
        return "it did not fail"

    answers: list[str] = []

    def told() -> Generator[Any, Any, None]:
        answers.append((yield from plan()))

    engine(told())
    assert answers == ["a device failed: RuntimeError: no"]


def test_answers_and_other_errors_pass_as_they_are(engine: RunEngine) -> None:
    found: list[str] = []

    def plan() -> Generator[Any, Any, None]:
        found.append((yield from open_run()))
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        engine(plan())
    assert len(found[0]) == 36


def test_a_plan_that_is_closed_cleans_up() -> None:
    ended: list[bool] = []

    def plan() -> Generator[Any, Any, None]:
        try:
            yield from null()
        finally:
            ended.append(True)

    relayed = in_words(plan())
    next(relayed)
    relayed.close()
    assert ended == [True]
