"""Which devices answer, which don't and why; they join when they come back, within RETRY_INTERVAL and a little.

Everything here runs in the RunEngine's event loop: an ophyd-async signal belongs to the loop it was connected in.
"""

# pyright: reportUnknownMemberType=false
# (ophyd-async's connect has partial types)
from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ophyd_async.core import Device as AsyncDevice
from ophyd_async.core import NotConnectedError, SignalR

from bluefleet.devices.search import search_anew

logger = logging.getLogger(__name__)

# A search is answered within milliseconds on a facility's network; the environment must open within some seconds.
CONNECT_DEADLINE = 5.0
# A live device answers all its PVs anew in under 50 ms; a plan should not wait long to be refused.
CHECK_DEADLINE = 2.0
RETRY_INTERVAL = 10.0

# What ophyd-async says of a PV that answers, with another type than the device's class has.
_WRONG_TYPE = re.compile(r"(\S+) with inferred datatype (.+) cannot be coerced to (.+)")
_TYPES = {
    "float": "a float",
    "int": "an integer (int)",
    "str": "a text (str)",
    "bool": "true or false (bool)",
    "str | SubsetEnum | StrictEnum": "a choice (str)",
}


@runtime_checkable
class _WaitsForConnection(Protocol):
    """A classic ophyd device."""

    def wait_for_connection(self, *, timeout: float) -> None: ...


@dataclass(frozen=True)
class Connection:
    """One device's state; ``since`` is when it became so."""

    connected: bool
    since: str
    reason: str | None = None


class Connections:
    """The devices of the site in one RunEngine, each with its state, kept up in the background."""

    def __init__(self, state_file: Path | None = None, refused_file: Path | None = None) -> None:
        """``state_file`` is written, for the fleet; ``refused_file`` is the fleet's: what operators disabled."""
        self._devices: dict[str, Any] = {}
        self._states: dict[str, Connection] = {}
        self._state_file = state_file
        self._refused_file = refused_file
        self._keeping: asyncio.Task[None] | None = None
        self._asking: dict[int, asyncio.Task[str | None]] = {}

    @property
    def states(self) -> Mapping[str, Connection]:
        return dict(self._states)

    def unreachable(self) -> dict[str, str]:
        """Name and reason of every device that doesn't answer."""
        return {name: state.reason or "" for name, state in self._states.items() if not state.connected}

    def manages(self, device: object) -> bool:
        name = getattr(device, "name", None)
        return isinstance(name, str) and self._devices.get(name) is device

    async def add(self, devices: Mapping[str, Any], refused: Mapping[str, str]) -> None:
        """Connect devices side by side within CONNECT_DEADLINE; ``refused`` are those that couldn't even be made."""
        self._devices.update(devices)
        reasons = await asyncio.gather(*(self._why_not(device, CONNECT_DEADLINE) for device in devices.values()))
        self._note({**dict(zip(devices, reasons, strict=True)), **refused})
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep_trying())

    async def stop(self) -> None:
        """Ask no device any more. A process that ends while libca is asked something ends in an abort."""
        tasks = [task for task in (self._keeping, *self._asking.values()) if task is not None]
        self._keeping = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def remove(self, names: set[str]) -> None:
        for name in names:
            self._devices.pop(name, None)
            self._states.pop(name, None)
        self._write()

    async def check(self, device: Any) -> str | None:
        """Ask a device now; the answer is why a plan can't use it, or nothing."""
        refused = self._disabled().get(device.name)
        if refused is not None:
            # It may well answer: its connection is another matter.
            return refused
        reason = await self._why_not(device, CHECK_DEADLINE)
        self._note({device.name: reason})
        return reason

    def _disabled(self) -> dict[str, str]:
        """Name and reason of every device that an operator took out of use, as it is now."""
        try:
            return dict(json.loads(self._refused_file.read_bytes())["devices"]) if self._refused_file else {}
        except FileNotFoundError:
            return {}

    async def _keep_trying(self) -> None:
        while True:
            await asyncio.sleep(RETRY_INTERVAL)
            asked = dict(self._devices)
            reasons = await asyncio.gather(*(self._why_not(device, CONNECT_DEADLINE) for device in asked.values()))
            # A device may have been replaced meanwhile.
            self._note({n: r for n, r in zip(asked, reasons, strict=True) if self._devices.get(n) is asked[n]})

    async def _why_not(self, device: Any, deadline: float) -> str | None:
        """Ask once at a time: a second search would take the channel from under the first."""
        key = id(device)
        while (asking := self._asking.get(key)) is not None:
            if await asyncio.shield(asking) is None:
                return None
            # It began before we did, and may have missed the device by little.
        asking = self._asking[key] = asyncio.create_task(_why_not(device, deadline))
        asking.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(asking)

    def _note(self, reasons: Mapping[str, str | None]) -> None:
        changed = False
        for name, reason in reasons.items():
            before = self._states.get(name)
            if before is not None and before.connected == (reason is None):
                continue
            changed = True
            self._states[name] = Connection(reason is None, datetime.now(UTC).isoformat(timespec="seconds"), reason)
            if reason is not None:
                logger.warning("device %s is not available: %s", name, reason)
            elif before is not None:
                logger.warning("device %s is back", name)
        if changed:
            self._write()

    def _write(self) -> None:
        if self._state_file is None:
            return
        content = {"schema_version": 1, "devices": {name: asdict(state) for name, state in self._states.items()}}
        draft = self._state_file.with_suffix(".new")
        draft.write_text(json.dumps(content, indent=1), encoding="utf-8")
        draft.replace(self._state_file)


async def _why_not(device: Any, deadline: float) -> str | None:
    """Connect a device, or say why that isn't possible. One device's failure is never another's."""
    connect = _connect_of(device, deadline)
    if connect is None:
        return None
    try:
        await asyncio.wait_for(connect(), deadline + 1)
    except NotConnectedError as error:
        return "; ".join(_reasons(error, deadline)) or str(error)
    except TimeoutError:
        return f"no connection within {deadline:g} s"
    except Exception as error:  # noqa: BLE001  (a device class is foreign code: it may raise anything)
        return f"{type(error).__name__}: {error}"
    return None


def _connect_of(device: Any, deadline: float) -> Callable[[], Coroutine[Any, Any, None]] | None:
    if isinstance(device, AsyncDevice):
        search_anew(_process_variables(device))
        # Forced: a connection made before says nothing of the IOC now.
        return lambda: device.connect(timeout=deadline, force_reconnect=True)
    if isinstance(device, _WaitsForConnection):
        return lambda: asyncio.to_thread(device.wait_for_connection, timeout=deadline)
    return None


def _process_variables(device: AsyncDevice) -> list[str]:
    own: list[str] = []
    if isinstance(device, SignalR):
        scheme, _, name = device.source.partition("://")
        own = [name] if scheme == "ca" else []
    return own + [found for _, child in device.children() for found in _process_variables(child)]


def _reasons(error: NotConnectedError, deadline: float) -> list[str]:
    """What ophyd-async's nested error says in words: PVs that didn't answer, then those that answered something else."""
    causes = list(_causes(error))
    silent = [str(each).strip().removeprefix("ca://") for each in causes if isinstance(each, NotConnectedError)]
    others = [_in_words(each) for each in causes if not isinstance(each, NotConnectedError)]
    return [f"no answer from {', '.join(silent)} within {deadline:g} s", *others] if silent else others


def _causes(error: NotConnectedError) -> Iterator[Exception]:
    if not error.sub_errors:
        yield error
    for inner in error.sub_errors.values():
        if isinstance(inner, NotConnectedError):
            yield from _causes(inner)
        else:
            yield inner


def _in_words(error: Exception) -> str:
    found = _WRONG_TYPE.fullmatch(str(error).strip())
    if found is None:
        return f"{type(error).__name__}: {error}"
    name, is_, declared = found.groups()
    return f"wrong type: {name} is {_TYPES.get(is_, is_)}, and the device declares {_TYPES.get(declared, declared)}"
