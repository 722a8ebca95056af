"""One RunEngine with all the site gives it: metadata that goes on, documents to the spool, devices that may be away."""

# pyright: reportUnknownMemberType=false
# (bluesky's RunEngine has few types)
from __future__ import annotations

import atexit
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any, cast

from bluesky.protocols import Readable
from bluesky.run_engine import RunEngine, call_in_bluesky_event_loop

from bluefleet.acquisition import channel_access
from bluefleet.acquisition.baseline import read_baseline
from bluefleet.acquisition.console import run_table
from bluefleet.acquisition.guard import refuse_unreachable
from bluefleet.acquisition.metadata import run_metadata
from bluefleet.acquisition.reasons import in_words
from bluefleet.acquisition.settings import Settings
from bluefleet.acquisition.spool_watch import SpoolWatch
from bluefleet.devices.connections import CONNECT_DEADLINE, Connections
from bluefleet.devices.loading import Declared, load, read_registry
from bluefleet.documents import Publisher, Spool
from bluefleet.site_file import load_site


@dataclass(frozen=True)
class Reloaded:
    """What a reload changed."""

    joined: list[str] = field(default_factory=list[str])
    left: list[str] = field(default_factory=list[str])
    unreachable: dict[str, str] = field(default_factory=dict[str, str])


class SiteRunEngine:
    """The RunEngine of this process with the devices it knows. ``RE`` is what a person calls."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        site = load_site(settings.fleet_file)
        metadata = run_metadata(settings, site)
        # It asks for a dict, and needs no more than a mapping.
        self.RE = _run_engine(settings.screen, cast("dict[str, Any]", metadata))
        self.RE.scan_id_source = metadata.next_scan_id
        spool = Spool(settings.spool_dir, writer=settings.writer, limit_bytes=settings.spool_limit_bytes)
        self.RE.subscribe(Publisher(spool))
        SpoolWatch(spool, self.RE).start()
        if settings.screen == "log":
            self.RE.subscribe(run_table(_write_line))
        self.connections = Connections(settings.connections_file, settings.devices_file.with_name("refused.json"))
        self.RE.preprocessors.append(refuse_unreachable(self.connections))
        # Outside of the guard: what doesn't answer is left out of the baseline, and refuses no plan.
        self.RE.preprocessors.append(read_baseline(self.connections, lambda: self._baseline))
        self.RE.preprocessors.append(in_words)
        self._baseline: list[Any] = []
        self._declared: dict[str, Declared] = {}
        self._loaded: set[str] = set()

    def load_devices(self, namespace: MutableMapping[str, Any]) -> Reloaded:
        """Bring the namespace up to the registry: new and changed devices join, those taken out leave.

        Raises EnvironmentMustReopen when a device is served by an IOC that this process can't search for.
        """
        site = load_site(self._settings.fleet_file)
        channel_access.refuse_new_addresses(site)
        declared = read_registry(self._settings.devices_file)
        left = {name for name, was in self._declared.items() if declared.get(name) != was}
        joining = {name for name, now in declared.items() if self._declared.get(name) != now}
        for name in left & self._loaded:
            namespace.pop(name, None)
        self._loaded -= left
        self.connections.remove(left)
        taken = {name: _name_is_taken(name, namespace[name]) for name in joining if _is_taken(namespace.get(name))}
        loaded = load(self._settings.devices_file, only=joining - taken.keys())
        refused = {**loaded.refused, **taken}
        call_in_bluesky_event_loop(self.connections.add(loaded.devices, refused), timeout=2 * CONNECT_DEADLINE)
        # The last that is registered comes first, and aioca's own end, which takes libca away, is among them now.
        atexit.unregister(self._let_go)
        atexit.register(self._let_go)
        namespace.update(loaded.devices)
        self._loaded |= loaded.devices.keys()
        self._declared = declared
        self._baseline = [namespace[name] for name, each in declared.items() if each.baseline and name in self._loaded]
        return Reloaded(sorted(joining), sorted(left - joining), self.connections.unreachable())

    def _let_go(self) -> None:
        call_in_bluesky_event_loop(self.connections.stop(), timeout=CONNECT_DEADLINE)


def _is_taken(thing: Any) -> bool:
    """Whether it is what plans rely on: a plan, the RunEngine. Simulated devices make way for a site's own."""
    return thing is not None and not isinstance(thing, Readable)


def _name_is_taken(name: str, thing: Any) -> str:
    """Why a device isn't loaded: what plans call by this name would be another thing from then on."""
    module = getattr(thing, "__module__", None) or type(thing).__module__
    return f"the name {name} is that of {type(thing).__name__} {name} of {module}; give the device another name"


def _run_engine(screen: str, metadata: dict[str, Any]) -> RunEngine:
    """A RunEngine; where a person watches, one that shows its runs."""
    if screen == "log":
        return RunEngine(metadata)
    # It takes matplotlib along, which a worker has no use for.
    from bluefleet.acquisition.screen import WatchedRunEngine

    return WatchedRunEngine(metadata, windows=screen == "windows")


def _write_line(text: str) -> None:
    sys.stdout.write(text + "\n")
