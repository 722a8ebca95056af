"""A plan that fails because a device did says why in the device's words: in the run's stop document and the queue's history.

The RunEngine's own FailedStatus is written as its status object, and that of a put which an IOC refused as a status that
is done: aioca's CANothing counts as false.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# (bluesky's messages and plans have no types)
from __future__ import annotations

from collections.abc import Generator
from typing import Any

from bluesky.utils import FailedStatus, Msg, ensure_generator

Plan = Generator[Msg, Any, Any]


class DeviceFailed(FailedStatus):
    """A device failed in what a plan asked of it."""

    def __init__(self, status: object, reason: BaseException) -> None:
        super().__init__(status)
        self._reason = reason

    def __str__(self) -> str:
        return f"a device failed: {type(self._reason).__name__}: {self._reason}"


def in_words(plan: Plan) -> Plan:
    """A RunEngine preprocessor: the plan itself, and so its run, sees the failure of a device with the reason."""
    relayed = ensure_generator(plan)
    answer: Any = None
    failure: BaseException | None = None
    while True:
        try:
            message = relayed.send(answer) if failure is None else relayed.throw(failure)
        except StopIteration as end:
            return end.value
        answer, failure = None, None
        try:
            answer = yield message
        except GeneratorExit:
            relayed.close()
            raise
        except FailedStatus as error:
            failure = error if error.__cause__ is None else DeviceFailed(error.args[0], error.__cause__)
            failure.__cause__ = error.__cause__
        except BaseException as error:  # noqa: BLE001  (all others are the plan's, as if nothing were in between)
            failure = error
