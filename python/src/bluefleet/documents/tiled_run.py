"""One run in Tiled, in the layout of TiledWriter, whose pieces do most of the work.

Made to bear what TiledWriter does not: a run that is partly there already, documents that come again, and a server
that is away for a while.
"""

# Tiled, pyarrow and their plugins are untyped, and installed in the data image only.
# pyright: basic, reportMissingImports=false

import copy
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from bluesky_tiled_plugins.utils import truncate_json_overflow
from bluesky_tiled_plugins.writing.consolidators import Patch, consolidator_factory
from bluesky_tiled_plugins.writing.tiled_writer import RunNormalizer, _RunWriter
from tiled.structures.core import Spec

from bluefleet.documents.codec import Document
from bluefleet.documents.consumer import Received, Rejected
from bluefleet.documents.errors import Poison
from bluefleet.documents.known_events import Event, KnownEvents
from bluefleet.documents.pages import singles
from bluefleet.documents.patience import Patience
from bluefleet.documents.tiled_access import child, plain, probe, translated
from bluefleet.documents.tiled_files import refuse_elsewhere
from bluefleet.documents.tiled_stream import StreamRows

T = TypeVar("T")
#: Offset and content of a stream_datum.
Frame = tuple[int, dict[str, Any]]
EVENTS = {"event", "event_page"}


class RunRecorder(_RunWriter):
    """Writes the normalised documents of one run. `flush` makes visible what came since the last one."""

    def __init__(self, client: Any, patience: Patience, folders: Sequence[Path]) -> None:
        super().__init__(client)
        self._catalogue: Any = client
        self._patience = patience
        #: Those that Tiled reads frames from, and files in them that it was told of.
        self._folders = folders
        self._files: set[str] = set()
        self._streams: dict[str, StreamRows] = {}
        self._known_descriptors: set[str] = set()
        self._frames: list[Frame] = []
        self._stored_frames: dict[str, int] = {}
        #: Frames that were refused, by uid, and those of them that their consolidator has counted.
        self._refused_frames: dict[str, dict[str, Any]] = {}
        self._counted: dict[str, Any] = {}
        #: Offset of the document that is being taken.
        self.offset = 0
        #: How many events were taken.
        self.events = 0
        #: Whether it was sent again by itself.
        self.alone = False
        #: Whether the run's stop was stored before: it is sent again, for what was missing then.
        self.closed = False
        #: Whether its beginning was read from Tiled and not from Kafka.
        self.recalled = False
        self.rejected: list[Rejected] = []

    def start(self, doc: Any) -> None:
        """The run's container."""
        start = dict(doc)
        self.access_tags = start.pop("tiled_access_tags", None)
        specs = [Spec(item) if isinstance(item, str) else Spec(**item) for item in start.pop("tiled_specs", None) or []]

        def find_or_make() -> Any:
            # Not `or`: a container without children is false.
            found = child(self._catalogue, start["uid"])
            if found is not None:
                return found
            return self._catalogue.create_container(
                key=start["uid"],
                metadata={"start": truncate_json_overflow(start)},
                specs=[*specs, Spec("BlueskyRun", version="3.0")],
                access_tags=self.access_tags,
            )

        node = self._patiently(find_or_make)
        self.closed = bool(node.metadata.get("stop"))
        self.root_node = node

    def descriptor(self, doc: Any) -> None:
        """The stream's container; a later descriptor of the same stream is a change of configuration."""
        name = doc["name"]
        if name not in self._streams:
            self.data_keys.update(doc.get("data_keys", {}))
            node = self._patiently(lambda: self._find_or_make_stream(name, doc))
            self._desc_nodes[name] = node
            self._streams[name] = StreamRows(node, doc.get("data_keys", {}), self.access_tags)
        node = self._desc_nodes[doc["uid"]] = self._desc_nodes[name]
        if doc["uid"] not in self._known_descriptors:
            self._patiently(lambda: self._add_configuration(node, doc))
            self._known_descriptors.add(doc["uid"])

    def event(self, doc: Any) -> None:
        """Kept until `flush`."""
        row = {"seq_num": doc["seq_num"], "time": doc["time"], **doc["data"]}
        row.update({f"ts_{key}": stamp for key, stamp in doc["timestamps"].items()})
        self._streams[self._desc_nodes[doc["descriptor"]].item["id"]].add(self.offset, row)
        self.events += 1

    def stream_resource(self, doc: Any) -> None:
        """Known from now on. Raises Poison where Tiled reads no frames."""
        refuse_elsewhere(doc["uri"], self._folders)
        super().stream_resource(doc)

    def stream_datum(self, doc: Any) -> None:
        """Kept until `flush`. Raises Poison where it is not known which frames come before these."""
        if self.recalled and self.closed and not self.alone:
            # Delivered once more: they came before the run's stop, which is stored.
            return
        if self.recalled:
            run = "" if self.root_node is None else self.root_node.item["id"]
            raise Poison(f"frames find their place among all of their run: `bluefleet documents replay {run}` sends it")
        self._frames.append((self.offset, dict(doc)))

    def frame_again(self, uid: str) -> None:
        """Its document came once more: if it was refused, `flush` tries it again."""
        if uid in self._refused_frames:
            self._frames.append((self.offset, self._refused_frames.pop(uid)))

    def flush(self) -> None:
        """Everything that can be stored is stored when this returns; the rest is in `rejected`."""
        for stream in self._streams.values():
            self.rejected += stream.flush(self._patience)
        frames, self._frames = self._frames, []
        for together in self._of_one_resource(frames):
            self._register_or_refuse(together)

    def stop(self, doc: Any) -> None:
        """The stop is stored after everything before it; that of a closed run stays as it was."""
        node: Any = self.root_node
        if node is None:
            raise Poison("its start document was not stored")
        self.flush()
        stop = copy.copy(doc)
        notes = list(dict.fromkeys(stop.pop("_run_normalizer_notes", [])))
        notes += [note for stream in self._streams.values() for note in stream.notes]
        for sres_uid, sres_node in self._sres_nodes.items():
            about = self._consolidators[sres_uid].metadata
            if about:
                self._patiently(lambda n=sres_node, m=about: n.update_metadata(metadata=m, drop_revision=True))
        if self.closed:
            return
        update = {"stop": stop} | ({"notes": notes} if notes else {})
        self._patiently(lambda: node.update_metadata(metadata=update, drop_revision=True))
        self._patiently(self._close_streams)

    def get_sres_node(self, sres_uid: str, desc_uid: str | None = None) -> Any:
        """As the original, but takes a node that an earlier life of this sink made."""
        resource = self._stream_resource_cache.get(sres_uid)
        if resource is None or desc_uid is None or sres_uid in self._sres_nodes:
            return super().get_sres_node(sres_uid, desc_uid)
        stream: Any = self._desc_nodes[desc_uid]
        name = f"{stream.item['id']}_{resource['data_key']}"
        if name in self._sres_nodes:
            return super().get_sres_node(sres_uid, desc_uid)
        existing = child(stream, resource["data_key"])
        if existing is None:
            return super().get_sres_node(sres_uid, desc_uid)
        consolidator: Any = consolidator_factory(resource, stream.metadata)
        self._consolidators[sres_uid] = self._consolidators[name] = consolidator
        self._sres_nodes[sres_uid] = self._sres_nodes[name] = existing
        self._stored_frames[existing.uri] = _extent(existing.structure(), existing.data_sources()[0].assets)
        return existing, consolidator

    def _of_one_resource(self, frames: Iterable[Frame]) -> Iterator[list[Frame]]:
        """The same frames: each array's in their order, and those that follow each other in one resource together."""
        arrays: dict[Any, list[Frame]] = defaultdict(list)
        for offset, doc in frames:
            resource: Any = self._stream_resource_cache.get(doc["stream_resource"]) or {}
            arrays[resource.get("data_key")].append((offset, doc))
        for array in arrays.values():
            for _, together in itertools.groupby(
                array, lambda frame: (frame[1]["stream_resource"], frame[1]["descriptor"])
            ):
                yield list(together)

    def _register_or_refuse(self, frames: list[Frame]) -> None:
        try:
            self._register([doc for _, doc in frames])
        except Poison as error:
            if len(frames) > 1:
                # One of them is at fault: it shall not take the others along.
                for frame in frames:
                    self._register_or_refuse([frame])
                return
            ((offset, doc),) = frames
            self._refused_frames[doc["uid"]] = doc
            self.rejected.append(Rejected(offset, str(error)))

    def _register(self, docs: Sequence[dict[str, Any]]) -> None:
        """Tell Tiled once of frames of one resource. What it knows already is only counted, and each frame once.

        Raises Poison: a single frame keeps the place that its consolidator gave it, several have none.
        """
        resource, descriptor, several = docs[0]["stream_resource"], docs[0]["descriptor"], len(docs) > 1
        node, consolidator = self._patiently(lambda: self.get_sres_node(resource, descriptor))
        before = {name: copy.copy(value) for name, value in vars(consolidator).items()} if several else {}
        known = self._stored_frames.get(node.uri, 0)
        new: list[Any] = []
        source: Any = None
        try:
            with translated(node.uri):
                for doc in docs:
                    patch = self._counted.get(doc["uid"]) or consolidator.consume_stream_datum(doc)
                    if not several:
                        self._counted[doc["uid"]] = patch
                    if not new:
                        source = consolidator.get_data_source()
                    if new or _extent(source.structure, source.assets) > known:
                        new.append(patch)
                if several:
                    source = consolidator.get_data_source()
            if new:
                self._refuse_elsewhere(source.assets)
                told = Patch.combine_patches(new)
                self._patiently(lambda: self._update_data_source_for_node(node, source, told))
        except Poison:
            vars(consolidator).update(before)
            raise
        for doc in docs:
            self._counted.pop(doc["uid"], None)

    def _refuse_elsewhere(self, assets: Sequence[Any]) -> None:
        """Their names are made of the resource's address and of a template beside it."""
        for uri in {asset.data_uri for asset in assets} - self._files:
            refuse_elsewhere(uri, self._folders)
            self._files.add(uri)

    def _find_or_make_stream(self, name: str, doc: Mapping[str, Any]) -> Any:
        root: Any = self.root_node
        if root is None:
            raise Poison("its start document was not stored")
        node = child(root, name)
        if node is None:
            metadata = {key: doc[key] for key in doc if key not in {"name", "object_keys", "run_start"}}
            node = root.create_container(
                key=name,
                metadata=truncate_json_overflow(metadata),
                specs=[Spec("BlueskyEventStream", version="3.0"), Spec("composite")],
                access_tags=self.access_tags,
            )
        node = plain(node)
        changes = node.metadata.get("_config_updates", [])
        self._known_descriptors.update([node.metadata.get("uid"), *(change["uid"] for change in changes)])
        return node

    def _add_configuration(self, node: Any, doc: Mapping[str, Any]) -> None:
        change = {"uid": doc["uid"], "time": doc["time"]}
        if doc.get("configuration"):
            change["configuration"] = doc["configuration"]
        changes = [item for item in node.metadata.get("_config_updates", []) if item["uid"] != doc["uid"]]
        update = {"_config_updates": truncate_json_overflow([*changes, change])}
        node.update_metadata(metadata=update, drop_revision=True)

    def _close_streams(self) -> None:
        """Tell live readers that nothing more comes."""
        rows = [node for stream in self._streams.values() for node in stream.nodes]
        everything = {node.uri: node for node in [*rows, *self._sres_nodes.values(), *self._desc_nodes.values()]}
        for node in [*everything.values(), self.root_node]:
            node.close_stream()

    def _patiently(self, action: Callable[[], T]) -> T:
        def attempt() -> T:
            with translated(self.client.uri):
                return action()

        place = self._catalogue if self.root_node is None else self.root_node
        return self._patience.until_available(attempt, lambda: probe(place))


class OpenRun:
    """A run between its start and its stop: what it has seen, normaliser, recorder."""

    def __init__(self, client: Any, patience: Patience, first_offset: int, folders: Sequence[Path]) -> None:
        self.first_offset = first_offset
        self.recorder = RunRecorder(client, patience, folders)
        self._normalizer = RunNormalizer()
        self._normalizer.subscribe(self.recorder)
        self._seen = Seen()
        #: What was taken since the last flush, by offset, and what a flush could not store.
        self._taken: dict[int, Received] = {}
        self._refused: set[str] = set()
        #: Why events were refused whose rows were kept.
        self._half_taken: dict[str, str] = {}

    @property
    def closed(self) -> bool:
        """Whether its stop was stored before anything of this came."""
        return self.recorder.closed

    @property
    def ended(self) -> bool:
        """Whether nothing says that a stop will follow: these are a few documents of a run that ended long ago."""
        return self.recorder.recalled and self.recorder.closed

    def recall(self, known: Iterable[tuple[str, Document]]) -> None:
        """Take from Tiled what must be known of a run whose beginning lies behind us. Raises Poison."""
        self.recorder.recalled = True
        for name, document in known:
            self.take(Received(self.first_offset, "", name, document))

    def take(self, received: Received) -> None:
        """One document. Raises Poison for one that can't be stored."""
        if self.ended and received.name == "stop":
            return
        self.recorder.offset, self.recorder.alone = received.offset, received.alone
        name, document = received.name, received.document
        self._taken[received.offset] = received
        with translated(self.recorder.client.uri):
            which = identity(name, document)
            if not self._seen.before(name, document):
                self._take(name, document)
            elif which in self._half_taken:
                raise Poison(self._half_taken[which])
            elif which in self._refused:
                self._refused.discard(which)
                self._take_again(name, document)

    def flush(self) -> list[Rejected]:
        """What came since the last time is stored; what can't be is returned."""
        self.recorder.flush()
        rejected, self.recorder.rejected = self.recorder.rejected, []
        taken, self._taken = self._taken, {}
        for item in rejected:
            self._refused.add(identity(taken[item.offset].name, taken[item.offset].document))
        return rejected

    def _take(self, name: str, document: Document) -> None:
        """What did not come before, or was refused before anything of it was kept."""
        kept = self.recorder.events
        try:
            with translated(self.recorder.client.uri):
                getattr(self._normalizer, name)(document)
        except Poison as error:
            if self.recorder.events > kept:
                # The normaliser has given out its frames, and would wait for their datums at the stop.
                self._seen.note(name, document)
                self._half_taken[identity(name, document)] = str(error)
            raise
        self._seen.note(name, document)

    def _take_again(self, name: str, document: Document) -> None:
        """What was refused. The normaliser has seen it, and gives out an event's frames once only."""
        if name == "stream_datum":
            self.recorder.frame_again(document["uid"])
            return
        outside = {key for key, about in self.recorder.data_keys.items() if "external" in about}
        for _, event in singles(name, document):
            frames = outside.intersection(event["data"]).difference(
                key for key, filled in event.get("filled", {}).items() if filled
            )
            inside = {key: value for key, value in event["data"].items() if key not in frames}
            self._normalizer.event(event | {"data": inside})
            for key in frames:
                self.recorder.frame_again(event["data"][key])


class Seen:
    """Which documents of a run came before: a repeat would confuse the normaliser."""

    def __init__(self) -> None:
        self._uids: set[str] = set()
        self._events: dict[str, KnownEvents] = defaultdict(KnownEvents)
        self._stream_of: dict[str, str] = {}

    def before(self, name: str, document: Document) -> bool:
        """Whether this one came before."""
        if name in EVENTS:
            known = self._known_beside(document)
            return all(event in known for event in _events(name, document))
        return identity(name, document) in self._uids

    def note(self, name: str, document: Document) -> None:
        """This one came."""
        if name in EVENTS:
            self._known_beside(document).add(_events(name, document))
            return
        if name == "descriptor":
            self._stream_of[document["uid"]] = document["name"]
        self._uids.add(identity(name, document))

    def _known_beside(self, event: Document) -> KnownEvents:
        descriptor: str = event["descriptor"]
        return self._events[self._stream_of.get(descriptor, descriptor)]


def identity(name: str, document: Document) -> str:
    """What a document is recognised by; a page by all that it holds."""
    return document["datum_id"] if name == "datum" else repr(document.get("uid") or document["datum_id"])


def _events(name: str, document: Document) -> list[Event]:
    numbers, times = document["seq_num"], document["time"]
    return [(numbers, times)] if name == "event" else list(zip(numbers, times, strict=True))


def _extent(structure: Any, assets: Sequence[Any]) -> int:
    """How many frames; of what has no shape, how many files."""
    shape = getattr(structure, "shape", None)
    return int(shape[0]) if shape else len(assets)
