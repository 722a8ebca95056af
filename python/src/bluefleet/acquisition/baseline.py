"""Devices that are read when a run starts and when it ends, into the stream ``baseline``.

Unlike a device that the plan itself names, one that doesn't answer is left out: no plan ends for want of it.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (bluesky's messages, plans and preprocessors have no types)
from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any

from bluesky.plan_stubs import trigger_and_read
from bluesky.preprocessors import plan_mutator, set_run_key_wrapper
from bluesky.utils import Msg

from bluefleet.devices.connections import Connections

Plan = Generator[Msg, Any, Any]

STREAM = "baseline"
logger = logging.getLogger("bluefleet.acquisition")


def read_baseline(connections: Connections, devices: Callable[[], Sequence[Any]]) -> Callable[[Plan], Plan]:
    """A RunEngine preprocessor; ``devices`` is asked at the start of each run."""

    def preprocess(plan: Plan) -> Plan:
        at_start: dict[Any, list[Any]] = {}

        def insert(message: Msg) -> tuple[Plan | None, Plan | None]:
            if message.command == "open_run" and (wanted := devices()):
                return None, _of_run(_first(connections, wanted, at_start, message.run), message.run)
            if message.command == "close_run" and (stored := at_start.pop(message.run, [])):
                return _then(_of_run(_last(connections, stored), message.run), message), None
            return None, None

        return (yield from plan_mutator(plan, insert))

    return preprocess


def _first(connections: Connections, wanted: Sequence[Any], at_start: dict[Any, list[Any]], run: Any) -> Plan:
    answering = yield from _answering(connections, wanted)
    if (yield from _read(answering)):
        at_start[run] = answering


def _last(connections: Connections, stored: list[Any]) -> Plan:
    """The same devices again, or none: a stream has the same devices in each of its events."""
    if len((yield from _answering(connections, stored))) == len(stored):
        yield from _read(stored)


def _read(devices: list[Any]) -> Generator[Msg, Any, bool]:
    """Whether they could be read."""
    if not devices:
        return False
    try:
        yield from trigger_and_read(devices, name=STREAM)
    except Exception as error:  # noqa: BLE001  (a device class is foreign code; the plan's own readings are what counts)
        logger.warning("the run has no baseline reading here: %s: %s", type(error).__name__, error)
        return False
    return True


def _answering(connections: Connections, devices: Sequence[Any]) -> Generator[Msg, Any, list[Any]]:
    """Those that answer now; who doesn't is in the log, by name. Asked side by side: one wait for all of them."""
    tasks: list[asyncio.Task[str | None]] = yield Msg(
        "wait_for", None, [partial(connections.check, device) for device in devices]
    )
    found: list[Any] = []
    for device, task in zip(devices, tasks, strict=True):
        if (reason := task.result()) is None:
            found.append(device)
        else:
            logger.warning("the baseline is read without %s: %s", device.name, reason)
    return found


def _of_run(plan: Plan, run: Any) -> Plan:
    return plan if run is None else set_run_key_wrapper(plan, run)


def _then(plan: Plan, message: Msg) -> Plan:
    yield from plan
    return (yield message)
