"""The Mongo sink: documents into databroker's normalized layout. `python -m bluefleet.documents.mongo_sink`.

The layout is the one of suitcase.mongo_normalized, so that databroker and Tiled's Mongo tree read it; written in bulk,
because one request a document is slow. Collections `stream_resource` and `stream_datum` are added, which that layout
has no place for. A document that comes again is recognised by its uid.
"""

import itertools
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pymongo
from bson.errors import InvalidDocument
from pymongo.database import Database
from pymongo.errors import BulkWriteError, ConnectionFailure, PyMongoError

from bluefleet.documents.canonical import canonical
from bluefleet.documents.codec import Document, plain
from bluefleet.documents.consumer import Received, Rejected, serve
from bluefleet.documents.digest import Digester
from bluefleet.documents.errors import Poison, Refusing, Unavailable
from bluefleet.documents.named_runs import NamedRun, meant
from bluefleet.documents.pages import singles
from bluefleet.documents.patience import Patience
from bluefleet.documents.run_digest import RunDigest
from bluefleet.documents.run_reference import RunReference
from bluefleet.documents.settings import MongoSettings

#: Collection of each kind of document, in the order in which a reader wants to find them.
COLLECTIONS = {
    "start": "run_start",
    "descriptor": "event_descriptor",
    "resource": "resource",
    "stream_resource": "stream_resource",
    "datum": "datum",
    "stream_datum": "stream_datum",
    "event": "event",
    "stop": "run_stop",
}
UNIQUE = {"datum": "datum_id"}
DUPLICATE_KEY = 11000
#: So many runs of one beginning, or of one scan id, are looked at: the latest ones.
SEVERAL = 2
#: Where the probe writes; readers know nothing of it.
PROBE = "sink_probe"
#: What Mongo says of a document that it will never take: a bad value or field name, too large, not valid.
FAULTS_OF_DOCUMENTS = {2, 9, 14, 22, 52, 55, 56, 57, 121, 10334, 17280}

#: A document on its way, with the offset it came from.
Row = tuple[int, dict[str, Any]]


class MongoSink:
    """Stores documents in one database."""

    name = "mongo-sink"

    def __init__(self, settings: MongoSettings) -> None:
        self._uri = settings.mongo_uri
        # The embedded server knows no sessions, which retryable writes need; writing again is our own business.
        client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
            settings.mongo_uri,
            serverSelectionTimeoutMS=5000,
            connectTimeoutMS=5000,
            socketTimeoutMS=60000,
            retryWrites=False,
            # The offset is committed after the answer: what was answered must bear a power cut.
            journal=True,
            tz_aware=False,
        )
        self._database: Database[dict[str, Any]] = client[settings.database]

    def prepare(self) -> None:
        """Indexes that make a second copy of a document impossible, and those databroker reads by."""
        database = self._database
        try:
            for kind, collection in COLLECTIONS.items():
                database[collection].create_index(UNIQUE.get(kind, "uid"), unique=True)
            database["run_start"].create_index("scan_id")
            database["run_start"].create_index([("time", pymongo.DESCENDING), ("scan_id", pymongo.DESCENDING)])
            database["run_stop"].create_index("run_start", unique=True)
            database["run_stop"].create_index([("time", pymongo.DESCENDING)])
            database["event_descriptor"].create_index([("run_start", pymongo.DESCENDING), ("time", pymongo.DESCENDING)])
            database["event"].create_index([("descriptor", pymongo.DESCENDING), ("time", pymongo.ASCENDING)])
            database["datum"].create_index("resource")
            database["resource"].create_index("run_start")
            database["stream_resource"].create_index("run_start")
            database["stream_datum"].create_index("descriptor")
        except PyMongoError as error:
            raise Unavailable(f"Mongo at {self._uri}: {error}") from error

    def needed_from(self, next_offset: int) -> int:
        """Mongo needs no document twice."""
        return next_offset

    def let_go(self, heard_until: float) -> bool:
        """There is no run that it waits for."""
        del heard_until
        return False

    def problems(self) -> list[str]:
        """None of its own."""
        return []

    def write(self, batch: Sequence[Received], patience: Patience) -> list[Rejected]:
        """Store the batch, a bulk a collection."""
        rows: dict[str, list[Row]] = defaultdict(list)
        rejected: list[Rejected] = []
        for received in batch:
            try:
                for kind, document in list(_checked(received.name, received.document)):
                    rows[COLLECTIONS[kind]].append((received.offset, plain(document)))
            except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
                rejected.append(Rejected(received.offset, f"not a {received.name!r} document: {error!r}"))
        for collection in COLLECTIONS.values():
            if rows[collection]:
                rejected += self._write_to(collection, rows[collection], patience)
        return list({item.offset: item for item in rejected}.values())

    def named(self, reference: RunReference) -> list[NamedRun]:
        """The last runs, those of a scan id, or those whose uid begins so."""
        starts = self._database["run_start"]
        query: dict[str, Any] = {}
        if reference.scan_id is not None:
            query = {"scan_id": reference.scan_id}
        elif reference.uid:
            query = {"uid": {"$gte": reference.uid, "$lt": f"{reference.uid}~"}}
        few = -reference.position if reference.position is not None else SEVERAL
        try:
            found = starts.find(query, {"uid": True, "time": True, "scan_id": True}).sort("time", -1).limit(few)
            return [NamedRun.of_start(start) for start in found]
        except PyMongoError as error:
            raise Unavailable(f"Mongo at {self._uri}: {error}") from error

    def holds(self, reference: str) -> RunDigest:
        """Everything the database has of a run."""
        try:
            return self._digest(self._find(reference))
        except PyMongoError as error:
            raise Unavailable(f"Mongo at {self._uri}: {error}") from error

    def _write_to(self, collection: str, rows: list[Row], patience: Patience) -> list[Rejected]:
        try:
            return patience.until_available(lambda: self._insert(collection, rows), self._probe)
        except Poison as error:
            if len(rows) == 1:
                return [Rejected(rows[0][0], str(error))]
            # One of them is at fault: it shall not take the others along.
            return list(itertools.chain(*(self._write_to(collection, [row], patience) for row in rows)))

    def _insert(self, collection: str, rows: list[Row]) -> list[Rejected]:
        try:
            return self._insert_unless_there(collection, rows)
        except ConnectionFailure as error:
            raise Unavailable(f"Mongo at {self._uri}: {error}") from error
        except PyMongoError as error:
            raise Refusing(f"Mongo at {self._uri} refused {collection}: {error}") from error
        except (InvalidDocument, OverflowError, TypeError, ValueError, RecursionError) as error:
            raise Poison(f"no BSON document for {collection}: {error}") from error

    def _insert_unless_there(self, collection: str, rows: list[Row]) -> list[Rejected]:
        try:
            # A fresh dict each: pymongo adds an _id to what it is given.
            self._database[collection].insert_many([dict(document) for _, document in rows], ordered=False)
        except BulkWriteError as error:
            return self._sort_out(collection, rows, error.details or {})
        return []

    def _probe(self) -> None:
        """A document that can't be at fault is stored and read. Raises Unavailable."""
        probe = {"_id": PROBE, "time": time.time()}
        try:
            self._database[PROBE].replace_one({"_id": PROBE}, probe, upsert=True)
            stored = self._database[PROBE].find_one({"_id": PROBE})
        except PyMongoError as error:
            raise Unavailable(f"Mongo at {self._uri}: {error}") from error
        if stored != probe:
            raise Unavailable(f"Mongo at {self._uri} stores something else than it is given")

    def _sort_out(self, collection: str, rows: list[Row], details: Mapping[str, Any]) -> list[Rejected]:
        rejected: list[Rejected] = []
        faults: list[dict[str, Any]] = details.get("writeErrors", [])
        of_the_server = [*details.get("writeConcernErrors", ())]
        for fault in faults:
            offset, document = rows[int(fault["index"])]
            code = fault.get("code")
            if code in FAULTS_OF_DOCUMENTS:
                rejected.append(Rejected(offset, f"Mongo refused it: {fault.get('errmsg')}"))
            elif code != DUPLICATE_KEY:
                of_the_server.append(fault)
            elif not self._is_same(collection, document):
                rejected.append(
                    Rejected(offset, f"{collection} holds another document in its place: {fault.get('errmsg')}")
                )
        if of_the_server:
            # No disk, shutting down, … With the next attempt what was stored by this one is there already.
            raise Refusing(f"Mongo at {self._uri} refused {collection}: {of_the_server[0].get('errmsg')}")
        return rejected

    def _is_same(self, collection: str, document: dict[str, Any]) -> bool:
        key = UNIQUE.get(collection, "uid")
        stored = self._database[collection].find_one({key: document[key]}, {"_id": False})
        return stored is not None and canonical(stored) == canonical(document)

    def _find(self, text: str) -> str:
        reference = RunReference.parse(text)
        return meant(reference, self.named(reference))

    def _digest(self, run: str) -> RunDigest:
        digester = Digester(run)
        descriptors = self._add(digester, "descriptor", {"run_start": run})
        self._add(digester, "start", {"uid": run})
        for kind in ("resource", "stream_resource"):
            uids = self._add(digester, kind, {"run_start": run})
            if kind == "resource" and uids:
                self._add(digester, "datum", {"resource": {"$in": uids}})
        if descriptors:
            self._add(digester, "stream_datum", {"descriptor": {"$in": descriptors}})
            self._add(digester, "event", {"descriptor": {"$in": descriptors}})
        self._add(digester, "stop", {"run_start": run})
        return digester.finish()

    def _add(self, digester: Digester, kind: str, query: Mapping[str, Any]) -> list[str]:
        uids: list[str] = []
        for document in self._database[COLLECTIONS[kind]].find(query, {"_id": False}):
            digester.add(kind, document)
            uids.append(str(document.get("uid")))
        return uids


def _checked(name: str, document: Document) -> Iterator[tuple[str, Document]]:
    """The single documents, each with what makes it one."""
    for kind, single in singles(name, document):
        key = UNIQUE.get(kind, "uid")
        if kind not in COLLECTIONS or key not in single:
            raise ValueError(f"no {key} in a {kind!r} document")
        yield kind, single


def main() -> None:
    """The service."""
    settings = MongoSettings.from_environment()
    serve(MongoSink(settings), settings, settings.kafka_group)


if __name__ == "__main__":
    main()
