"""Sums up a run's documents into a RunDigest."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bluefleet.documents.canonical import digest, event_hash, metadata_hash
from bluefleet.documents.codec import Document
from bluefleet.documents.pages import PAGES, singles
from bluefleet.documents.run_digest import RunDigest, StreamDigest

#: Tiled takes these out of a start document: they say how to store it.
STORAGE_KEYS = ("tiled_access_tags", "tiled_specs")
#: Tiled's names for an event's own columns; data keys named so get an underscore there.
RESERVED = ("time", "seq_num")


@dataclass
class _Stream:
    descriptors: list[str] = field(default_factory=list[str])
    external: set[str] = field(default_factory=set[str])
    frames: Counter[str] = field(default_factory=Counter[str])
    events: list[tuple[int, bytes]] = field(default_factory=list[tuple[int, bytes]])

    def digest(self) -> StreamDigest:
        numbers = sorted(number for number, _ in self.events)
        return StreamDigest(
            events=len(numbers),
            seq_nums=ranges(numbers),
            doubled=sorted({number for number, following in itertools.pairwise(numbers) if number == following}),
            data=digest(number.to_bytes(8, "little") + content for number, content in sorted(self.events)),
            descriptors=self.descriptors,
            external=sorted(self.external),
            frames=dict(sorted(self.frames.items())),
        )


class Digester:
    """Takes in a run's documents, in any order that has descriptors before their events, and sums them up."""

    def __init__(self, run: str) -> None:
        self.result = RunDigest(run=run)
        self._streams: dict[str, _Stream] = defaultdict(_Stream)
        self._stream_of: dict[str, str] = {}
        self._external: dict[str, set[str]] = {}
        self._references: dict[str, str] = {}
        self._key_of: dict[str, str] = {}
        self._seen: set[str] = set()

    def add(self, name: str, document: Document) -> None:
        """One document; one that was there before is counted and otherwise ignored."""
        if name in PAGES:
            for kind, single in singles(name, document):
                self.add(kind, single)
            return
        uid = str(document.get("uid") or document.get("datum_id"))
        if uid in self._seen:
            self.result.redelivered += 1
            return
        self._seen.add(uid)
        self._take(name, document, uid)

    def add_row(
        self, stream: str, seq_num: int, time: float, data: Mapping[str, Any], stamps: Mapping[str, Any]
    ) -> None:
        """One event as a table has it."""
        self._streams[stream].events.append((seq_num, event_hash(time, data, stamps)))

    def add_stream(self, stream: str, descriptors: list[str], external: list[str], frames: Mapping[str, int]) -> None:
        """A stream as a catalogue has it."""
        self._streams[stream].descriptors = descriptors
        self._streams[stream].external = set(external)
        self._streams[stream].frames = Counter(frames)

    def finish(self) -> RunDigest:
        """The sum."""
        self.result.streams = {name: stream.digest() for name, stream in sorted(self._streams.items())}
        if self._references:
            self.result.references = digest(
                f"{uid}{self._references[uid]}".encode() for uid in sorted(self._references)
            )
        return self.result

    def _take(self, name: str, document: Document, uid: str) -> None:
        if name == "start":
            scan_id = document.get("scan_id")
            self.result.scan_id = scan_id if isinstance(scan_id, int) else None
            self.result.desktop = str(document.get("desktop") or "")
            self.result.start = metadata_hash(document, without=STORAGE_KEYS)
        elif name == "stop":
            self.result.stop = metadata_hash(document)
            self.result.exit_status = str(document.get("exit_status"))
            self.result.reason = str(document.get("reason", ""))
        elif name == "descriptor":
            stream = str(document.get("name", "primary"))
            self._stream_of[uid] = stream
            self._external[uid] = {key for key, about in document["data_keys"].items() if "external" in about}
            self._streams[stream].descriptors.append(uid)
        elif name == "event":
            self._event(document)
        else:
            self._reference(name, document, uid)

    def _event(self, event: Document) -> None:
        descriptor: str = event["descriptor"]
        stream: str = self._stream_of.get(descriptor, descriptor)
        external = self._external.get(descriptor, set())
        filled: Mapping[str, bool] = event.get("filled") or {}
        inside = [key for key in event["data"] if filled.get(key, key not in external)]
        self._streams[stream].external.update(external.intersection(event["data"]).difference(inside))
        self.add_row(
            stream,
            event["seq_num"],
            event["time"],
            {unreserved(key): event["data"][key] for key in inside},
            {unreserved(key): event["timestamps"].get(key) for key in inside},
        )

    def _reference(self, name: str, document: Document, uid: str) -> None:
        self._references[uid] = metadata_hash(document)
        if name == "stream_resource":
            self._key_of[uid] = str(document.get("data_key", ""))
        elif name == "stream_datum":
            descriptor: str = document["descriptor"]
            stream = self._stream_of.get(descriptor, descriptor)
            key = self._key_of.get(document["stream_resource"], "")
            self._streams[stream].external.add(key)
            self._streams[stream].frames[key] += document["indices"]["stop"] - document["indices"]["start"]


def unreserved(key: str) -> str:
    """The data key as Tiled's table names it."""
    return f"{key}_" if key in RESERVED else key


def ranges(numbers: list[int]) -> str:
    """Sorted numbers as ranges: [1, 2, 3, 5] is "1-3,5"; repeated ones count once."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number <= parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
