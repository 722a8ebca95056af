"""A check-up of the whole site that explains: what was looked at, where, what is wrong, what to do. It changes nothing."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from bluefleet.fleet import _history as history
from bluefleet.fleet._certificates import ends_at, ends_in_file
from bluefleet.fleet._edge import in_words, session
from bluefleet.fleet._images import images_report
from bluefleet.fleet._lock import owner
from bluefleet.fleet._manager_services import actor
from bluefleet.fleet._overrides import Overrides
from bluefleet.fleet._report import SCHEMA_VERSION, InstanceStatus, StatusReport
from bluefleet.fleet._selection import select
from bluefleet.fleet._settings import Settings
from bluefleet.fleet._state import State, StateUnusable
from bluefleet.fleet._status import status
from bluefleet.fleet._ways_back import ways_back
from bluefleet.model import Site

Outcome: TypeAlias = Literal["ok", "warning", "failed"]
_ORDER: dict[Outcome, int] = {"failed": 0, "warning": 1, "ok": 2}

# A certificate is renewed by any converge; sites that converge once a month still have time then.
_RENEW = timedelta(days=30)
# Nothing takes that long that should still have the lock of a node.
_HELD_LONG = timedelta(hours=2)
# Documents: a scan of half an hour. What the forwarder itself calls a problem fails at once.
_MANY_WAIT = 2000
# Of the manager's own disk, both.
_FEW_BYTES, _FEW = 2 * 10**9, 0.05


class Check(BaseModel):
    """One thing that was looked at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: str = Field(description="What was looked at")
    where: str = Field(description="Host, file or service")
    outcome: Outcome = Field(description="warning: it works, and will not for long, or somebody forgot it")
    what: str = Field(description="What was found, in words")
    remedy: str = Field(default="", description="What to do; empty when all is well")


class DoctorReport(BaseModel):
    """The check-up, worst first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = SCHEMA_VERSION
    site: str = Field(description="Empty when the site file can't be read")
    ok: bool = Field(description="Whether nothing failed; warnings only want to be read")
    checks: list[Check]


def report_of(site: str, checks: Iterable[Check]) -> DoctorReport:
    """The report of these checks."""
    ordered = sorted(checks, key=lambda one: _ORDER[one.outcome])
    return DoctorReport(site=site, ok=all(one.outcome != "failed" for one in ordered), checks=ordered)


@dataclass(frozen=True, slots=True)
class _Patient:
    site: Site
    settings: Settings
    answer: float
    days: float


async def doctor(
    site: Site, settings: Settings, *, answer: float = 5.0, within: float = 30.0, days: float = 7.0
) -> DoctorReport:
    """Look at everything at once: each thing has `answer` seconds to answer, all of it ends `within` seconds.

    Overrides are told when they are older than `days`. What can't be looked at is a check that failed, never an error.
    """
    patient = _Patient(site, settings, answer, days)
    groups: dict[str, Callable[[_Patient], Awaitable[list[Check]]]] = {
        "nodes": _fleet,
        "images": _images,
        "certificates": _certificates,
        "registry": _registry,
        "manager": _manager,
        "actor": _actor,
    }

    async def one(name: str, look: Callable[[_Patient], Awaitable[list[Check]]]) -> list[Check]:
        try:
            async with asyncio.timeout(within):
                return await look(patient)
        except TimeoutError:
            remedy = "Look at the network and at the load of the manager; run it again with --within"
            return [_failed(name, site.site, f"not looked at within {within:g} s", remedy)]
        except StateUnusable as error:
            return [_failed(name, str(error.file), str(error), error.remedy)]

    found = await asyncio.gather(*(one(name, look) for name, look in groups.items()))
    read = Check(check="site file", where=str(settings.site_file), outcome="ok", what=_counted(site))
    return report_of(site.site, [read, *(check for checks in found for check in checks)])


def _counted(site: Site) -> str:
    instances = sum(len(node.instances) for node in site.nodes)
    return f"declares {len(site.nodes)} nodes, {instances} instances, {sum(1 for _ in site.placed_devices())} devices"


def _ok(check: str, where: str, what: str) -> Check:
    return Check(check=check, where=where, outcome="ok", what=what)


def _failed(check: str, where: str, what: str, remedy: str) -> Check:
    return Check(check=check, where=where, outcome="failed", what=what, remedy=remedy)


def _warning(check: str, where: str, what: str, remedy: str) -> Check:
    return Check(check=check, where=where, outcome="warning", what=what, remedy=remedy)


async def _fleet(patient: _Patient) -> list[Check]:
    """Nodes, clocks, disks, instances, the queue and the document path: all that `status` looks at."""
    found = await status(patient.site, patient.settings, deadline=patient.answer, measure_disks=True)
    return [*_nodes(found), *_queue(patient.site, found), *_documents(found), *_service(found)]


def _nodes(found: StatusReport) -> Iterable[Check]:
    for node in found.nodes:
        where = f"{node.name} ({node.address})"
        if node.disabled:
            yield _ok("node", where, f"not looked at: {node.overrides[0].words}")
            continue
        if not node.reachable:
            yield _failed("node", where, node.reason, node.remedy)
            continue
        room = (
            f", {node.disk.free / 1e9:.0f} GB free" if node.disk else ", disk not known: nothing runs that could tell"
        )
        yield (
            _ok("node", where, f"answers, engine {node.engine_version}, clock right{room}")
            if not node.problems
            else (
                _failed(
                    "node",
                    where,
                    "; ".join(node.problems),
                    f"Mend it on {node.name}: time service, or room on its disk",
                )
            )
        )
        for instance in node.instances:
            if not instance.ok:
                place = f"{node.name}/{instance.name}"
                yield _failed("instance", place, instance.reason, _remedy(place, instance))


def _remedy(place: str, instance: InstanceStatus) -> str:
    """What helps depends on what operators want of it."""
    cordon = next((one for one in instance.overrides if one.kind == "cordoned"), None)
    to_do = f"`bluefleet apply {place}` makes it what it should be"
    if cordon is not None:
        # The slash says that a node is meant.
        where = cordon.place if cordon.instance else f"{cordon.node}/"
        to_do = f"it is {cordon.words}, and left as it is until `bluefleet clear {where}`"
    return f"`bluefleet logs {place}` says why; {ways_back(place, instance.overrides) or to_do}"


def _queue(site: Site, found: StatusReport) -> Iterable[Check]:
    pod = site.pods.acquisition
    if pod is None:
        return
    where, devices = f"{pod.host} ({pod.address})", found.devices
    if devices.state == "unknown":
        remedy = f"Look at the acquisition pod on {pod.host}; `site.yml --tags pods` starts it"
        yield _failed("queue", where, devices.detail, remedy)
        return
    if found.queue and found.queue.reason:
        yield _failed("queue", where, found.queue.reason, "docs/how-to/queue-plans.md, When the worker died")
        return
    standing = found.queue.state if found.queue else "answers"
    yield _ok("queue", where, f"{standing}, {devices.declared} devices {devices.state}")
    for name, reason in devices.unreachable.items():
        yield _failed("device", name, reason, "Look at the instance that serves it: `bluefleet devices list` names it")


def _documents(found: StatusReport) -> Iterable[Check]:
    for service in found.documents:
        waiting = "it does not say what waits" if service.waiting is None else f"{service.waiting} documents wait"
        if service.reason:
            remedy = "Nothing is lost: documents wait in the spool. Look at the services it names"
            yield _failed("document path", service.name, f"{service.reason} ({waiting})", remedy)
        elif (service.waiting or 0) > _MANY_WAIT:
            yield _warning(
                "document path", service.name, waiting, "Look again: if it grows, what comes after it is slow"
            )
        else:
            yield _ok("document path", service.name, waiting)


def _service(found: StatusReport) -> Iterable[Check]:
    if found.service is None:
        return
    where = "bluefleet-fleet.service on the manager"
    if found.service.reason:
        remedy = (
            "Nothing that ends is started again meanwhile. `sudo systemctl start bluefleet-fleet`; its journal says why"
        )
        yield _failed("fleet service", where, found.service.reason, remedy)
    else:
        yield _ok("fleet service", where, "answers, and does its round")


async def _actor(patient: _Patient) -> list[Check]:
    """The observatory's door, where systemd should have it open."""
    found = await asyncio.to_thread(actor, patient.settings, deadline=patient.answer)
    if found is None:
        return []
    where, wrong = found
    if not wrong:
        return [_ok("actor", where, "listens")]
    remedy = "`sudo systemctl start bluefleet-actor` on the manager; its journal says why"
    return [_failed("actor", where, wrong, remedy)]


async def _images(patient: _Patient) -> list[Check]:
    """Images that instances should run from, on the nodes that answer (`_nodes` tells of the others)."""
    found = await images_report(patient.site, patient.settings, select(patient.site), deadline=patient.answer)
    checks: list[Check] = []
    for node in found.nodes:
        missing = [one for one in node.images if one.wanted_by and not one.present]
        checks += [
            _failed(
                "image",
                node.name,
                f"{one.image or one.digest[:19]} is not there; {', '.join(one.wanted_by)} should run from it",
                f"`bluefleet apply {node.name}` fetches it",
            )
            for one in missing
        ]
        if not node.error and not missing:
            checks.append(_ok("image", node.name, "has all that its instances run from"))
    unbuilt = sorted({one.image for node in patient.site.nodes for one in node.instances} - _built(patient.site))
    if unbuilt:
        what = f"{', '.join(unbuilt)} not built yet"
        checks.append(_failed("image", patient.site.site, what, "`site.yml --tags images` builds them"))
    return checks


def _built(site: Site) -> set[str]:
    return {key for key, image in site.images.items() if image.digest}


async def _certificates(patient: _Patient) -> list[Check]:
    """The manager's own, and what engines and edges show."""
    site, settings = patient.site, patient.settings
    files = [settings.engine_certificate / name for name in ("cert.pem", "ca.pem")]
    if all(node.transport != "tls" for node in site.nodes):
        files = []
    if site.pods.acquisition or site.pods.data or (site.registry and site.registry.tls):
        files.append(settings.site_ca)
    shown = [(f"engine of {node.name}", node.address, node.port) for node in site.nodes if node.transport == "tls"]
    pods = {"acquisition": site.pods.acquisition, "data": site.pods.data}
    shown += [(f"edge of {name}", pod.address, 443) for name, pod in pods.items() if pod]
    if site.registry is not None and site.registry.tls:
        address, _, port = site.registry.address.rpartition(":")
        shown.append(("registry", address, int(port)))
    work = [asyncio.to_thread(_of_file, file) for file in files]
    work += [asyncio.to_thread(_of_server, *place, patient.answer) for place in shown]
    return [check for check in await asyncio.gather(*work) if check is not None]


def _of_file(file: Path) -> Check:
    try:
        return _until(str(file), ends_in_file(file))
    except (OSError, ValueError) as error:
        remedy = "Run it as user bluefleet; `site.yml --tags engines` puts the files in place"
        return _failed("certificate", str(file), str(error), remedy)


def _of_server(name: str, address: str, port: int, seconds: float) -> Check | None:
    where = f"{name} ({address}:{port})"
    try:
        return _until(where, ends_at(address, port, seconds))
    except (OSError, ValueError):
        # That it does not answer is said where it is asked something.
        return None


def _until(where: str, end: datetime) -> Check:
    left = end - datetime.now(UTC)
    renew = "`site.yml` renews what is near its end"
    if left <= timedelta():
        return _failed("certificate", where, f"ended on {end:%Y-%m-%d}", renew)
    what = f"ends on {end:%Y-%m-%d}, in {left.days} days"
    return _warning("certificate", where, what, renew) if left < _RENEW else _ok("certificate", where, what)


async def _registry(patient: _Patient) -> list[Check]:
    """Whether it answers, and knows the password that nodes pull with."""
    if patient.site.registry is None:
        return []
    return [await asyncio.to_thread(_ask_registry, patient)]


def _ask_registry(patient: _Patient) -> Check:
    registry = patient.site.registry
    address = registry.address if registry else ""
    secure = registry is not None and registry.tls
    url = f"{'https' if secure else 'http'}://{address}/v2/"
    with session(patient.settings.site_ca if secure else False) as asking:
        try:
            password = patient.settings.registry_password.read_text(encoding="utf-8").strip()
            answer = asking.get(url, auth=("pull", password), timeout=(min(2.0, patient.answer), patient.answer))
            answer.raise_for_status()
        except OSError as error:
            remedy = "What runs goes on. Look at `systemctl status bluefleet-registry` on the manager"
            return _failed("registry", url, in_words(error, patient.answer), remedy)
    return _ok("registry", url, "answers, and knows the password for pulls")


async def _manager(patient: _Patient) -> list[Check]:
    """What people left behind, and the manager's own disk."""
    state = State(patient.settings.state_file)
    names = [node.name for node in patient.site.nodes]
    return [
        *_locks(patient.settings, names),
        *_unfinished(patient.settings, state, names),
        *_overrides(Overrides.now(state), patient.days),
        _disk(patient.settings.lib),
    ]


def _locks(settings: Settings, nodes: Sequence[str]) -> Iterable[Check]:
    held = {name: found for name in nodes if (found := owner(settings.locks_folder, name)) is not None}
    for name, found in held.items():
        age = timedelta(seconds=datetime.now(UTC).timestamp() - found.since)
        if age > _HELD_LONG:
            remedy = f"If that hangs, end process {found.pid} on the manager: the lock goes with it"
            yield _warning("lock", name, f"{found.words} works on it", remedy)
    if not held:
        yield _ok("lock", "all nodes", "nobody works on one")


def _unfinished(settings: Settings, state: State, nodes: Sequence[str]) -> Iterable[Check]:
    """Calls that ended without a word: only who holds a lock can still be at work."""
    since = datetime.now(UTC) - timedelta(days=7)
    for entry in history.entries(state, since=since):
        on = {target.partition("/")[0] for target in entry.targets} & set(nodes)
        if entry.result != "unfinished" or any(owner(settings.locks_folder, name) for name in on):
            continue
        what = f"`bluefleet {entry.verb}` of {entry.who}, {entry.began:%Y-%m-%d %H:%M} UTC, never ended: it was killed"
        yield _warning("history", ", ".join(entry.targets), what, f"Run `bluefleet {entry.verb}` again: it finishes")


def _overrides(overrides: Overrides, days: float) -> Iterable[Check]:
    old = [one for one in overrides.all if datetime.now(UTC) - one.since > timedelta(days=days)]
    for one in old:
        place = f"{one.node}/{one.instance}" if one.instance else one.node
        yield _warning("override", place, one.words, f"If it is not wanted any more: `bluefleet clear {place}`")
    if not old:
        yield _ok("override", "all nodes", f"{len(overrides.all)}, none older than {days:g} days")


def _disk(folder: Path) -> Check:
    there = next(one for one in (folder, *folder.parents) if one.exists())
    room = shutil.disk_usage(there)
    what = f"{room.free / 1e9:.1f} of {room.total / 1e9:.0f} GB free"
    if room.free < _FEW_BYTES and room.free < _FEW * room.total:
        return _failed("disk", str(folder), what, "Free some: spool, overrides and history are written there")
    return _ok("disk", str(folder), what)
