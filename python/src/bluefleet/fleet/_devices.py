"""The device database that every RunEngine reads (happi's JSON), and whether the queue's worker has loaded it."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

from bluefleet.fleet._connections import unreachable
from bluefleet.fleet._overrides import Overrides
from bluefleet.fleet._queue import Queue, QueueError, QueueState
from bluefleet.fleet._refused_devices import refused_devices
from bluefleet.fleet._report import DeviceEntry, DevicesReport, DevicesResult, DevicesState, DevicesStatus
from bluefleet.fleet._settings import Settings
from bluefleet.fleet._state import State
from bluefleet.fleet._whole_file import needed, one_at_a_time, write_whole
from bluefleet.model import PlacedDevice, Site, device_database

# Seconds between two looks at a worker that is busy. Each look costs the queue a millisecond.
_LOOK_AGAIN = 2.0
_THEN = "Then `bluefleet apply` brings the devices to the queue; what runs is as it was"


def sync(site: Site, settings: Settings, *, check: bool) -> DevicesResult:
    """Write the database, then make the worker load it if that disturbs no plan. With `check` only look.

    What the worker can't load now is marked as pending; on the manager a unit waits for that mark, and calls `join`.
    Raises StateUnusable.
    """
    if check:
        return _sync(site, settings, check=True)
    # What is written, told to the worker and noted belongs together; the queue's answers have deadlines, so this ends.
    with needed(settings.devices_file.parent, _THEN), one_at_a_time(settings.devices_lock):
        return _sync(site, settings, check=False)


def _sync(site: Site, settings: Settings, *, check: bool) -> DevicesResult:
    text = device_database(site)
    written = _differs(settings.devices_file, text)
    if written and not check:
        write_whole(settings.devices_file, text)
    queue = Queue.of(site, settings)
    if queue is None:
        return DevicesResult(changed=written, state="none", detail="the site has no acquisition pod")
    try:
        found = _load(site, settings, queue, text, told=not written and _was_told(settings, text), check=check)
    except QueueError as error:
        found = DevicesResult(changed=False, state="unknown", detail=str(error))
    if not check:
        _mark(settings, pending=found.state in {"pending", "unknown"})
    return found.model_copy(update={"changed": found.changed or written})


def _load(site: Site, settings: Settings, queue: Queue, text: str, *, told: bool, check: bool) -> DevicesResult:
    state = queue.state()
    current = _compare(site, state, told=told)
    loads = current.state == "pending" and state.idle
    if loads and not check:
        queue.reload_devices()
        current = _compare(site, queue.state(), told=True)
    if (loads or current.state == "closed") and not check:
        # Whoever opens a closed environment loads the database as it is then.
        _tell(settings, text)
    return DevicesResult(changed=loads, state=current.state, detail=current.detail, pending=current.pending)


async def join(read: Callable[[], Site], settings: Settings, progress: Callable[[str], None]) -> DevicesResult:
    """Wait until the worker is idle and make it load the database. The site is read again at each look.

    Raises StateUnusable.
    """
    said = ""
    while True:
        found = await asyncio.to_thread(sync, read(), settings, check=False)
        if found.state not in {"pending", "unknown"}:
            return found
        if found.detail != said:
            said = found.detail
            progress(f"devices: {found.state}: {said}")
        await asyncio.sleep(_LOOK_AGAIN)


def to_join(site: Site, settings: Settings) -> DevicesResult:
    """What `join` would find now; nothing is written, and the worker loads nothing."""
    return sync(site, settings, check=True)


def devices_status(site: Site, settings: Settings, *, deadline: float) -> DevicesStatus:
    """Whether the worker knows the declared devices; the queue has `deadline` seconds for each answer."""
    queue = Queue.of(site, settings, answer=deadline)
    declared = sum(1 for _ in site.placed_devices())
    if queue is None:
        return DevicesStatus(state="none", detail="the site has no acquisition pod", declared=declared, pending=[])
    try:
        state = queue.state()
    except QueueError as error:
        return DevicesStatus(state="unknown", detail=str(error), declared=declared, pending=[])
    text = device_database(site)
    told = not _differs(settings.devices_file, text) and _was_told(settings, text)
    found = _compare(site, state, told=told)
    # What a closed environment left behind says nothing about now.
    silent = unreachable(settings.connections_file) if state.open else dict[str, str]()
    return found.model_copy(update={"unreachable": silent})


def devices_report(site: Site, settings: Settings, *, deadline: float) -> DevicesReport:
    """Every declared device, where it is served, and whether the worker knows it. Raises StateUnusable."""
    status = devices_status(site, settings, deadline=deadline)
    overrides = Overrides.now(State(settings.state_file))
    refused = refused_devices(site, overrides)

    def state_of(name: str) -> DevicesState:
        if status.state != "pending":
            return status.state
        return "pending" if name in status.pending else "loaded"

    def silent(placed: PlacedDevice) -> str:
        if status.state not in {"loaded", "pending"}:
            return ""
        # The worker notices a second later that nothing answers any more.
        stopped = overrides.first(placed.node.name, placed.instance.name, "stopped")
        found = status.unreachable.get(placed.device.name, "")
        return f"{stopped.place} is {stopped.words}" if stopped else found

    entries = [
        DeviceEntry(
            name=placed.device.name,
            device_class=placed.device.class_path,
            prefix=placed.device.prefix or "",
            node=placed.node.name,
            instance=placed.instance.name,
            state=state_of(placed.device.name),
            unreachable=silent(placed),
            refused=refused.get(placed.device.name, ""),
        )
        for placed in site.placed_devices()
    ]
    return DevicesReport(site=site.site, state=status.state, detail=status.detail, devices=entries)


def _compare(site: Site, state: QueueState, *, told: bool) -> DevicesStatus:
    declared = {placed.device.name for placed in site.placed_devices()}
    if not state.open:
        detail = "the queue's environment is closed; it loads them when it is opened"
        return DevicesStatus(state="closed", detail=detail, declared=len(declared), pending=[])
    missing = sorted(declared - state.known)
    if told and not missing:
        return DevicesStatus(state="loaded", detail="", declared=len(declared), pending=[])
    busy = f"{state.running.name} runs" if state.running else "the worker is busy"
    when = "`bluefleet apply` loads them" if state.idle else f"{busy}; they join when it is idle"
    return DevicesStatus(state="pending", detail=when, declared=len(declared), pending=missing)


def _revision(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest() + "\n"


def _was_told(settings: Settings, text: str) -> bool:
    return not _differs(settings.told_file, _revision(text))


def _mark(settings: Settings, *, pending: bool) -> None:
    if pending:
        settings.pending_file.parent.mkdir(parents=True, exist_ok=True)
        settings.pending_file.touch()
    else:
        settings.pending_file.unlink(missing_ok=True)


def _tell(settings: Settings, text: str) -> None:
    if not _was_told(settings, text):
        write_whole(settings.told_file, _revision(text))


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text(encoding="utf-8") != text
