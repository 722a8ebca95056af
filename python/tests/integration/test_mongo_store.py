"""The embedded Mongo server's own way to store documents and keys, and the files of the back end that it is built on."""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.codec_options import CodecOptions, UuidRepresentation
from mongo_server import Server, server
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

__all__ = ["server"]

pytestmark = pytest.mark.timeout(240)

CODEC = CodecOptions[dict[str, Any]](tz_aware=True, uuid_representation=UuidRepresentation.STANDARD)
#: What a document may be known by: texts of every length, in one byte a character and in several, and what is no text.
KEYS: list[Any] = [
    *("".join(chr(97 + (length * 7 + place * place) % 26) for place in range(length)) for length in range(300)),
    *(f"run {number:x}" for number in range(1, 6000, 17)),
    *(chr(number) * 3 for number in range(0, 2000, 31)),
    *("x" * 65535, "x" * 65536, "x" * 70000, "x" * 70001),
    *range(-50, 50),
    *(0.5, -0.5, True, None, {"a": 1}, {"a": 2}),
    *(ObjectId(f"{number * 0x10305070B0D % 2**96:024x}") for number in range(200)),
    *(uuid.UUID(int=number) for number in range(3)),
]
#: Values of every kind that the server stores.
VALUES: list[Any] = [
    *(None, True, 1, Int64(2**40), -1.5, "text", "Übersee\0", [], [1, [2.5, "x"]], {}, {"a": {"b": [1]}}),
    *(ObjectId(), datetime(2026, 11, 5, 12, 30, 1, 250000, tzinfo=UTC), uuid.uuid4(), b"\0\xff"),
    *(Decimal128("1.25"), Regex("^a", 0), Timestamp(7, 9), MinKey(), MaxKey()),
]
STORE_THEM = """
import bson
from pymongo import MongoClient
from pymongo.collection import Collection
documents = MongoClient("127.0.0.1", serverSelectionTimeoutMS=20000).test.documents
documents.create_index("uid", unique=True)
documents.insert_many(bson.decode(open("/documents", "rb").read())["documents"])
"""
SERIALIZED = ("de.bwaldvogel.mongo.bson.Document", "de.bwaldvogel.mongo.backend.KeyValue")


def collection(client: MongoClient[dict[str, Any]], name: str = "documents") -> Collection[dict[str, Any]]:
    """Of the test's database, with every kind of value as it was given."""
    return client.get_database("test", CODEC).get_collection(name)


def document(number: int, key: Any) -> dict[str, Any]:
    """One that is known by a key."""
    return {"_id": ObjectId(f"{number:024x}"), "uid": key, "data": [key, {"of": VALUES[number % len(VALUES)]}]}


def test_a_file_of_the_stock_back_end_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    stored = [document(number, key) for number, key in enumerate(KEYS)]
    file = tmp_path / "documents"
    file.write_bytes(bson.encode({"documents": stored}, codec_options=CODEC))
    file.chmod(0o644)
    server.store_by_the_stock_back_end(file, STORE_THEM)
    assert all(server.file_has(name) for name in SERIALIZED), "the stock back end stores otherwise: this proves nothing"
    with server.start() as client:
        documents = collection(client)
        for one in stored:
            assert documents.find_one({"uid": one["uid"]}) == one
            with pytest.raises(DuplicateKeyError):
                documents.insert_one({"uid": one["uid"]})
        documents.insert_many([{"uid": f"new {number}"} for number in range(1000)])
        documents.delete_many({"_id": {"$in": [one["_id"] for one in stored[::2]]}})
    server.end("TERM")
    with server.start() as client:
        documents = collection(client)
        assert documents.count_documents({}) == len(stored[1::2]) + 1000
        assert [one["uid"] for one in stored[1::2] if documents.find_one({"uid": one["uid"]}) != one] == []
        documents.insert_many(stored[::2])
    server.end("TERM")
    with server.start() as client:
        assert [one["uid"] for one in stored if collection(client).find_one({"uid": one["uid"]}) != one] == []


def test_documents_of_every_kind_come_back_as_they_were_and_no_java_object_is_stored(server: Server) -> None:
    stored = [{"_id": number, "value": value} for number, value in enumerate(VALUES)]
    known = [{"_id": key, "value": 1} for key in (*KEYS[100:103], uuid.UUID(int=7), 1.5)]
    with server.start() as client:
        collection(client).insert_many(stored)
        collection(client, "known").insert_many(known)
        collection(client, "indexed").create_index("uid", unique=True)
        collection(client, "indexed").insert_many([{"uid": f"{number}"} for number in range(500)])
    server.end("TERM")
    with server.start() as client:
        for value in stored:
            assert collection(client).find_one({"_id": value["_id"]}) == value
        for one in known:
            assert collection(client, "known").find_one({"_id": one["_id"]}) == one
    server.end("TERM")
    assert not server.file_has(SERIALIZED[0])


def test_a_document_that_grows_beyond_what_may_be_sent_is_still_there(server: Server) -> None:
    part = b"x" * (6 << 20)
    with server.start() as client:
        collection(client).insert_one({"_id": 1, "parts": [part]})
        for _ in range(2):
            collection(client).update_one({"_id": 1}, {"$push": {"parts": part}})
        collection(client).insert_one({"_id": 2})
    server.end("TERM")
    with server.start() as client:
        assert [one["_id"] for one in collection(client).find({}, {"_id": 1})] == [1, 2]


def test_more_than_its_memory_holds_is_written_and_read(server: Server) -> None:
    waveform = [place / 7 for place in range(20_000)]
    with server.start() as client:
        for begin in range(0, 1000, 20):
            collection(client).insert_many([{"_id": number, "data": waveform} for number in range(begin, begin + 20)])
        for begin in range(0, 1000, 20):
            found = collection(client).find({"_id": {"$in": list(range(begin, begin + 20))}}, {"_id": 1})
            assert len(list(found)) == 20
        assert collection(client).find_one({"_id": 999}) == {"_id": 999, "data": waveform}


def test_a_database_of_an_earlier_start_can_be_dropped(server: Server) -> None:
    with server.start() as client:
        collection(client).create_index("uid", unique=True)
        collection(client).insert_one({"uid": "one"})
    server.end("TERM")
    with server.start() as client:
        client.drop_database("test")
        assert client.get_database("test").list_collection_names() == []
