"""Documents as bytes: msgpack of `[name, document]`, numpy arrays bit for bit.

The same bytes lie in the spool and travel through Kafka, and they are the ones bluesky_kafka writes, so that any
consumer made for that reads them. What can't travel is refused here, at the source, in words.
"""

import math
import numbers
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import msgpack  # pyright: ignore[reportMissingTypeStubs] - it has none
import msgpack_numpy  # pyright: ignore[reportMissingTypeStubs] - it has none
import numpy as np

from bluefleet.documents.errors import DocumentRefused, DocumentUnreadable

Document = dict[str, Any]

#: Largest encoded document. Kafka's topic is made with room for it and its envelope.
DEFAULT_LIMIT = 12 * 1024 * 1024
#: MongoDB's own limit on one document, and what a number in a list takes there at most:
#: type 1, key as decimal text with its end 8, value 8 bytes.
BSON_LIMIT = 16 * 1024 * 1024
BSON_NUMBER = 17
#: The largest integer of BSON and of SQL, and how msgpack writes those above; other bytes may look the same.
LARGEST_INTEGER = 2**63 - 1
ABOVE_LARGEST = re.compile(rb"\xcf[\x80-\xff]")
TOO_LARGE = "an integer that does not fit in 64 bits with its sign, which no database holds"
COMPLEX = "complex numbers, which no database holds: write their real and imaginary parts as two"
#: How numpy names types of numbers, text, bytes and times.
PLAIN_TYPE = re.compile(r"[<>|=]?[?biufcmMSUV][0-9]{0,9}(\[[0-9]{0,9}[a-zA-Z]{1,2}\])?", re.ASCII)
#: In how many parts an array may be that holds nothing: each is a list of its own in a database.
EMPTY_PARTS = 2**16
#: A document smaller than this fits in BSON whatever its arrays are made of.
BSON_SAFE = BSON_LIMIT // BSON_NUMBER

# Neither library says what its functions take and give.
_pack = cast("Callable[..., bytes]", msgpack.packb)  # pyright: ignore[reportUnknownMemberType]
_unpack = cast("Callable[..., Any]", msgpack.unpackb)  # pyright: ignore[reportUnknownMemberType]
_from_numpy = cast("Callable[[Any], Any]", msgpack_numpy.encode)  # pyright: ignore[reportUnknownMemberType]
_to_numpy = cast("Callable[[Any], Any]", msgpack_numpy.decode)  # pyright: ignore[reportUnknownMemberType]


def encode(name: str, document: Mapping[str, Any], *, limit: int = DEFAULT_LIMIT) -> bytes:
    """The document's bytes.

    Raises DocumentRefused, naming the key at fault, for what msgpack can't hold, for arrays of Python objects
    (only pickle could carry those, and nobody should unpickle what a network brings), for numbers that no database
    holds, and for sizes above `limit` or above what MongoDB can store.
    """
    try:
        body = _pack([name, document], default=_encode_numpy, use_bin_type=True)
        if ABOVE_LARGEST.search(body):
            _refuse_large_integers(document)
    except (TypeError, ValueError, OverflowError) as error:
        where, why = _first_fault(document) or ("the document", str(error))
        raise DocumentRefused(f"a {name!r} document can't be sent: {where}: {why}") from error
    if len(body) > limit:
        where, size = _largest(document)
        raise DocumentRefused(
            f"a {name!r} document of {len(body)} bytes is above the limit of {limit}; the largest part is {where} with "
            f"about {size} bytes: write such data to a file and refer to it by a StreamResource document"
        )
    if len(body) > BSON_SAFE:
        _refuse_beyond_bson(name, document)
    return body


def decode(body: bytes) -> tuple[str, Document]:
    """Name and document. Raises DocumentUnreadable for anything else, and for pickled arrays."""
    try:
        content = _unpack(body, object_hook=_decode_numpy, raw=False, strict_map_key=False)
    except DocumentUnreadable:
        raise
    except Exception as error:
        # Anybody's bytes, and numpy parses types in them: what it raises has no end, SyntaxError being one.
        raise DocumentUnreadable(f"not msgpack of a document: {error!r}") from error
    if not isinstance(content, list) or len(cast("list[Any]", content)) != 2:
        raise DocumentUnreadable("not a [name, document] pair")
    name, document = cast("list[Any]", content)
    if not isinstance(name, str) or not isinstance(document, dict):
        raise DocumentUnreadable("not a [name, document] pair")
    return name, cast("Document", document)


def plain(value: Any) -> Any:
    """The same value in Python's own types: arrays as nested lists, tuples as lists. For BSON and JSON."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, np.ndarray | np.generic):
        return cast("Any", value).tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in cast("list[Any]", value)]
    return value


def _encode_numpy(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        _refuse_numbers(np.asarray(cast("Any", value)))
    if isinstance(value, complex):
        raise TypeError(COMPLEX)
    encoded = _from_numpy(value)
    if isinstance(value, int):
        # msgpack comes here with what it can't write itself.
        raise OverflowError(TOO_LARGE)
    if encoded is value:
        raise TypeError(f"a {type(cast('object', value)).__name__} is no part of a document")
    return encoded


def _refuse_numbers(array: "np.ndarray[Any, Any]") -> None:
    """Raises TypeError and OverflowError for what no database holds."""
    if array.dtype.hasobject:
        raise TypeError("an array of Python objects")
    for field in array.dtype.names or ():
        _refuse_numbers(array[field])
    if array.dtype.kind == "c":
        raise TypeError(COMPLEX)
    if array.dtype.kind == "u" and array.size and int(array.max()) > LARGEST_INTEGER:
        raise OverflowError(TOO_LARGE)


def _refuse_large_integers(value: Any) -> None:
    """Raises OverflowError; msgpack itself has room for another bit."""
    for _, leaf in _leaves(value):
        for item in cast("list[Any]", leaf) if isinstance(leaf, list | tuple) else [leaf]:
            if isinstance(item, int) and item > LARGEST_INTEGER:
                raise OverflowError(TOO_LARGE)


def _decode_numpy(value: dict[Any, Any]) -> Any:
    """What msgpack_numpy writes, read as it does, but for what nobody should take from a network."""
    # msgpack_numpy would unpickle these.
    if value.get(b"kind") == b"O":
        raise DocumentUnreadable("an array of Python objects, which would have to be unpickled")
    if b"nd" not in value:
        return _to_numpy(value)
    whole = value[b"nd"] is True
    if not {b"type", b"data", *([b"shape"] if whole else [])} <= value.keys():
        # Somebody's own dictionary.
        return value
    dtype, shape, data = _dtype(value[b"type"]), value[b"shape"] if whole else (), value[b"data"]
    if not all(type(length) is int and length >= 0 for length in shape):
        raise DocumentUnreadable(f"an array of shape {shape}")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise DocumentUnreadable(f"an array of {dtype} and shape {shape} in {len(data)} bytes")
    if math.prod(length or 1 for length in shape) > max(len(data), EMPTY_PARTS):
        raise DocumentUnreadable(f"an array without content of shape {shape}")
    array: np.ndarray[Any, Any] = np.ndarray(tuple(shape), dtype, data)
    return array if whole else array[()]


def _dtype(described: Any, *, inside: bool = False) -> "np.dtype[Any]":
    """Of numbers, text and bytes, alone or in a table. Raises DocumentUnreadable.

    Anything else, Python objects above all, would have numpy follow addresses that somebody put into the bytes.
    """
    if isinstance(described, list | tuple):
        fields = cast("list[Any]", described)
        dtype = np.dtype([(_text(name), _dtype(kind, inside=True), *shape) for name, kind, *shape in fields])
    elif PLAIN_TYPE.fullmatch(text := str(_text(described))):
        dtype = np.dtype(text)
    else:
        raise DocumentUnreadable(f"an array of type {text[:80]!r}")
    parts = [dtype[name] for name in dtype.names or ()]
    if dtype.hasobject or any(part.itemsize == 0 for part in parts) or (inside and dtype.itemsize == 0):
        raise DocumentUnreadable(f"an array of type {str(cast('object', described))[:80]}")
    return dtype


def _text(value: Any) -> Any:
    """A name as numpy takes it: text, or a title and a name."""
    if isinstance(value, list):
        return tuple(_text(item) for item in cast("list[Any]", value))
    return value.decode() if isinstance(value, bytes) else value


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in cast("Mapping[Any, Any]", value).items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and not _all_numbers(cast("list[Any]", value)):
        for index, item in enumerate(cast("list[Any]", value)):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def _all_numbers(values: list[Any]) -> bool:
    return all(isinstance(item, numbers.Number) for item in values)


def _first_fault(document: Mapping[str, Any]) -> tuple[str, str] | None:
    for path, value in _leaves(document):
        try:
            _pack(value, default=_encode_numpy, use_bin_type=True)
            _refuse_large_integers(value)
        except (TypeError, ValueError, OverflowError) as error:
            return path, str(error)
    return None


def _largest(document: Mapping[str, Any]) -> tuple[str, int]:
    sizes = ((path, len(_pack(value, default=_encode_numpy))) for path, value in _leaves(document))
    return max(sizes, key=lambda item: item[1], default=("the document", 0))


def _refuse_beyond_bson(name: str, document: Mapping[str, Any]) -> None:
    # Pages are taken apart before they are stored.
    parts = _rows(document) if name in {"event_page", "datum_page"} else [document]
    for part in parts:
        counts = {path: _count(value) for path, value in _leaves(part)}
        total = sum(counts.values())
        if total * BSON_NUMBER > BSON_LIMIT:
            path = max(counts, key=lambda each: counts[each])
            raise DocumentRefused(
                f"a {name!r} document can't be sent: {path} has {counts[path]} of its {total} values, more than a "
                f"database document can hold (about {BSON_SAFE}): write such data to a file and refer to it by a "
                "StreamResource document"
            )


def _rows(page: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What each document of a page holds."""
    columns: dict[str, Any] = page.get("data") or page.get("datum_kwargs") or {}
    for row in zip(*columns.values(), strict=False):
        yield {f"data.{key}": value for key, value in zip(columns, row, strict=True)}


def _count(value: Any) -> int:
    return int(cast("Any", value).size) if isinstance(value, np.ndarray) else _length(value)


def _length(value: Any) -> int:
    return len(cast("list[Any]", value)) if isinstance(value, list | tuple) else 0
