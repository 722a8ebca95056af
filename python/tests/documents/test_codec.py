"""Documents as bytes."""

import datetime
import pickle
import subprocess
import sys

import msgpack
import numpy as np
import pytest

from bluefleet.documents.codec import BSON_SAFE, DEFAULT_LIMIT, decode, encode
from bluefleet.documents.errors import DocumentRefused, DocumentUnreadable
from patience import PATIENCE


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype="<u2").reshape(3, 4),
        np.array([1.5, np.nan, -0.0, np.inf]),
        np.arange(24).reshape(2, 3, 4)[:, ::2, :],
        np.array([(1, 2.5)], dtype=[("a", "<i4"), ("b", "<f8")]),
        np.array(["é", "abc"]),
        np.zeros((0, 4)),
        np.array([True, False]),
    ],
    ids=str,
)
def test_arrays_survive_bit_for_bit(array: np.ndarray) -> None:
    name, document = decode(encode("event", {"data": {"image": array}}))
    back = document["data"]["image"]
    assert name == "event"
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_scalars_of_numpy_and_python_survive() -> None:
    values = {
        "a": np.float32(1.1),
        "b": [2**63 - 1, -(2**63), np.uint64(2**63 - 1)],
        "c": float("inf"),
        "d": None,
        "e": "ü",
        "f": [1, [2.5]],
    }
    assert decode(encode("event", values))[1] == values


def test_the_bytes_are_those_of_bluesky_kafka() -> None:
    import msgpack_numpy

    document = {"uid": "x", "data": {"a": np.arange(3)}}
    theirs = msgpack.packb(["event", document], default=msgpack_numpy.encode, use_bin_type=True)
    assert encode("event", document) == theirs


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (datetime.datetime.now(tz=datetime.UTC), "datetime"),
        ({1, 2}, "set"),
        (2**70, "64 bits"),
        (2**63, "64 bits"),
        ([0, 2**64 - 1], "64 bits"),
        (-(2**63) - 1, "64 bits"),
        (np.uint64(2**63), "64 bits"),
        (np.array([[0, 2**63]], dtype=">u8"), "64 bits"),
        (np.array([(1, 2**63)], dtype=[("a", "<i4"), ("b", "<u8", (1,))]), "64 bits"),
        (1 + 2j, "complex"),
        ([0.5, 1 + 2j], "complex"),
        (np.complex64(1), "complex"),
        (np.zeros((0, 2), dtype="c16"), "complex"),
        (np.zeros(2, dtype=[("a", "<i4"), ("b", "<c8")]), "complex"),
        (np.array([object()]), "Python objects"),
    ],
    ids=[
        "datetime", "set", "huge integer", "large integer", "large integer in a list", "large negative integer",
        "large scalar", "large integer in an array", "large integer in a table", "complex", "complex in a list",
        "complex scalar", "empty complex array", "complex in a table", "object array",
    ],
)  # fmt: skip
def test_what_cannot_travel_is_refused_by_the_name_of_its_key(value: object, why: str) -> None:
    with pytest.raises(DocumentRefused, match=rf"sample\.holder.*{why}"):
        encode("start", {"uid": "x", "sample": {"holder": value}})


def test_a_document_above_the_limit_is_refused_naming_its_largest_part() -> None:
    with pytest.raises(DocumentRefused, match=r"above the limit.*data\.image") as caught:
        encode(
            "event",
            {"data": {"image": np.zeros(DEFAULT_LIMIT, dtype="u1"), "small": 1}},
        )
    assert "StreamResource" in str(caught.value)


def test_an_array_that_no_database_document_can_hold_is_refused() -> None:
    with pytest.raises(DocumentRefused, match=r"data\.image"):
        encode("event", {"data": {"image": np.zeros(BSON_SAFE + 1, dtype="u1")}})
    encode("event", {"data": {"image": np.zeros(BSON_SAFE - 100, dtype="f8")}})


def test_arrays_that_no_database_document_can_hold_together_are_refused() -> None:
    half = np.zeros(600_000, dtype="u1")
    encode("event", {"data": {"one": half}})
    with pytest.raises(DocumentRefused, match=r"data\.(one|two) has 600000 of its 1200000 values"):
        encode("event", {"data": {"one": half, "two": half}})


def test_what_one_event_of_a_page_holds_counts() -> None:
    half = np.zeros(600_000, dtype="u1")
    encode("event_page", {"data": {"one": [half, half, half]}})
    with pytest.raises(DocumentRefused, match=r"data\.one has 1200000 of its 1200001 values"):
        encode("event_page", {"data": {"one": [np.zeros(1_200_000, dtype="u1")], "two": [np.zeros(1)]}})


def test_what_came_from_a_network_is_never_unpickled() -> None:
    evil = {
        b"nd": True,
        b"type": "|O",
        b"kind": b"O",
        b"shape": [1],
        b"data": pickle.dumps(print),
    }
    with pytest.raises(DocumentUnreadable, match="unpickled"):
        decode(msgpack.packb(["event", {"data": evil}]))


def packed(**parts: object) -> bytes:
    """An event with an array as msgpack_numpy would write it, but for what is given."""
    array = {b"nd": True, b"type": "<f8", b"kind": b"", b"shape": [1], b"data": bytes(8)}
    array |= {key.encode(): value for key, value in parts.items()}
    return msgpack.packb(["event", {"uid": "x", "data": {"a": array}}], use_bin_type=True)


#: An address that nobody may follow.
SOMEWHERE = (0x4141414141414141).to_bytes(8, "little")


CHOSEN = {
    "objects": packed(type="|O", data=SOMEWHERE),
    "objects by another name": packed(type="object", data=SOMEWHERE),
    "objects of a kind": packed(type="|O8", kind=b"V", data=SOMEWHERE),
    "objects in a table": packed(type=[["a", "<i4"], ["b", "|O"]], kind=b"V", data=bytes(4) + SOMEWHERE),
    "objects in a table that is none": packed(type=[["a", "|O"]], data=SOMEWHERE),
    "objects in a table in a table": packed(type=[["a", [["b", "|O"]]]], kind=b"V", data=SOMEWHERE),
    "objects in a table by commas": packed(type="O,f8", data=SOMEWHERE * 2),
    "objects as bytes": packed(type=b"|O", data=SOMEWHERE),
    "an object": packed(nd=False, type="|O", data=SOMEWHERE),
    "an object in a table": packed(nd=False, type=[["a", "|O"]], data=SOMEWHERE),
    "objects by their places": packed(type={"names": ["a"], "formats": ["O"]}, data=SOMEWHERE),
    "text behind an address": packed(type="T", data=SOMEWHERE * 2),
    "fewer bytes": packed(shape=[2]),
    "more bytes": packed(data=bytes(9)),
    "negative": packed(shape=[-1]),
    "twice negative": packed(shape=[-1, -1]),
    "huge": packed(shape=[2**62, 4]),
    "huge and empty": packed(shape=[2**40, 0], data=b""),
    "huge, of nothing": packed(type="|V0", shape=[2**40], data=b""),
    "huge, of nothing in a table": packed(type=[["a", "<f8", [2**30, 0]]], kind=b"V", data=b""),
    "no number": packed(shape=[1.0]),
    "no shape": packed(shape="1"),
    "no bytes": packed(data="12345678"),
    "a scalar of more": packed(nd=False, data=bytes(16)),
}


READ = """
import msgpack, sys
from bluefleet.documents.codec import decode, plain

for name, body in msgpack.unpackb(sys.stdin.buffer.read()).items():
    print(name, end=": ", flush=True)
    try:
        plain(decode(body)[1])
    except Exception as error:
        print(type(error).__name__)
    else:
        print("read")
"""


def test_bytes_that_somebody_chose_end_no_program() -> None:
    """In a process of its own: one that follows an address in them ends without a word."""
    done = subprocess.run(
        [sys.executable, "-c", READ],
        input=msgpack.packb(CHOSEN),
        capture_output=True,
        check=False,
        timeout=60 * PATIENCE,
    )
    assert done.stdout.decode().splitlines() == [f"{name}: DocumentUnreadable" for name in CHOSEN], done.stderr
    assert done.returncode == 0


def test_tables_and_text_are_read_as_before() -> None:
    arrays = [
        np.array([(1, (2.5, [1, 2]))], dtype=[("a", "<i4"), ("b", [("c", "<f8"), ("d", "<u2", (2,))])]),
        np.zeros((5, 0)),
        np.array([True]),
        np.array(7, dtype=">i8"),
        np.array([b"ab"]),
    ]
    for array in arrays:
        back = decode(encode("event", {"data": {"a": array}}))[1]["data"]["a"]
        assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"hello",
        msgpack.packb({"a": 1}),
        msgpack.packb(["event"]),
        b"\x92\xa5ev",
        msgpack.packb(["event", {"x": {b"nd": False, b"type": b"<f8,(", b"data": b""}}]),
        msgpack.packb(["event", {"x": {b"nd": False, b"type": b"<f8", b"data": b""}}]),
    ],
)
def test_bytes_that_are_no_document_are_unreadable(body: bytes) -> None:
    with pytest.raises(DocumentUnreadable):
        decode(body)
