"""Plans that need a device which doesn't answer are refused, by its name, before they open a run."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# (bluesky's messages and preprocessors have no types)
from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from bluesky.preprocessors import plan_mutator
from bluesky.utils import Msg

from bluefleet.devices.connections import Connections

Plan = Generator[Msg, Any, Any]

# What a plan does on its way out, also after it was refused a device.
CLEAN_UP = {"unstage", "stop", "unmonitor", "complete", "collect"}


class DeviceUnreachable(Exception):
    """A plan needs a device that doesn't answer."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"device {name} is not available: {reason}. The plan is refused; {name} joins when it is back")


class DeviceLost(Exception):
    """A device stopped answering while a plan used it."""


def refuse_unreachable(connections: Connections) -> Callable[[Plan], Plan]:
    """A RunEngine preprocessor: each of the site's devices is asked once, when the plan first touches it."""

    def preprocess(plan: Plan) -> Plan:
        asked: set[str] = set()
        refused: set[str] = set()

        def before(message: Msg) -> tuple[Plan | None, Plan | None]:
            device = _outermost(message.obj)
            if not connections.manages(device):
                return None, None
            untouched = device.name in refused or device.name not in asked
            if refused and untouched and message.command in CLEAN_UP:
                # What doesn't answer or was never touched needs none, and gives no second reason.
                return _nothing(), None
            if not untouched:
                return None, None
            asked.add(device.name)
            return _ask_first(connections, device, message, refused), None

        try:
            return (yield from plan_mutator(plan, before))
        except TimeoutError as error:
            # ophyd-async says no more than which PV it was.
            if not str(error).startswith("ca://"):
                raise
            lost = str(error).removeprefix("ca://")
            raise DeviceLost(f"{lost} stopped answering during the plan: its IOC, or the way to it, is down") from error

    return preprocess


def _ask_first(connections: Connections, device: Any, message: Msg, refused: set[str]) -> Plan:
    tasks: list[asyncio.Task[str | None]] = yield Msg("wait_for", None, [partial(connections.check, device)])
    reason = tasks[0].result()
    if reason is not None:
        refused.add(device.name)
        raise DeviceUnreachable(device.name, reason)
    return (yield message)


def _nothing() -> Plan:
    yield Msg("null")


def _outermost(device: Any) -> Any:
    while getattr(device, "parent", None) is not None:
        device = device.parent
    return device
