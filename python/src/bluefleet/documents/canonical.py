"""One byte string for one value, however it was stored: what makes documents, BSON, tables and arrays comparable.

Stores differ in what they keep of a value's type: a Tiled column of floats holds the integer 1 as 1.0, BSON holds an
array as a list, JSON has no NaN. So that equal means "the same measurement" and never "the same storage":

- numbers are their value: integers and floats as float64, integers beyond 2^53 in decimal
- arrays, lists and tuples are their shape and their numbers, or, when they hold anything else, their parts in order
- truth values stay apart from numbers, except inside arrays, where Tiled stores them as numbers
- a key whose value is None or NaN counts as absent (Tiled's tables answer null for both); in arrays both are NaN;
  in metadata infinities count as absent too
"""

import hashlib
import math
import struct
from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np

EXACT = 2**53
NOTHING = b"-"


def digest(parts: Iterable[bytes]) -> str:
    """A short hash of byte strings, each kept apart from the next."""
    total = hashlib.blake2b(digest_size=16)
    for part in parts:
        total.update(struct.pack("<q", len(part)))
        total.update(part)
    return total.hexdigest()


def metadata_hash(document: Mapping[str, Any], *, without: Iterable[str] = ()) -> str:
    """Hash of a start or stop document."""
    left = {key: value for key, value in document.items() if key not in set(without)}
    return digest([canonical(left, finite=True)])


def event_hash(time: float, data: Mapping[str, Any], timestamps: Mapping[str, Any]) -> bytes:
    """Hash of what an event measured."""
    return bytes.fromhex(digest([_number(time), canonical(data), canonical(timestamps)]))


def canonical(value: Any, *, finite: bool = False) -> bytes:
    """The value's byte string. With `finite`, infinities count as None, as NaN always does."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and cast("Any", value).ndim == 0):
        value = cast("Any", value).item()
    if isinstance(value, Mapping):
        return _mapping(cast("Mapping[Any, Any]", value), finite=finite)
    if isinstance(value, np.ndarray | list | tuple):
        return _sequence(cast("Any", value), finite=finite)
    return _scalar(value, finite=finite)


def _scalar(value: Any, *, finite: bool) -> bytes:
    match value:
        case None:
            return NOTHING
        case bool():
            return b"T" if value else b"F"
        case float() if math.isnan(value) or (finite and math.isinf(value)):
            return NOTHING
        case int() | float():
            return _number(value)
        case str():
            return b"s" + value.encode()
        case _:
            return b"o" + repr(value).encode()


def _number(value: float) -> bytes:
    if isinstance(value, int) and abs(value) > EXACT:
        return b"i" + str(value).encode()
    number = float(value)
    if abs(number) > EXACT and number.is_integer():
        return b"i" + str(int(number)).encode()
    return b"n" + struct.pack("<d", number + 0.0)


def _mapping(value: Mapping[Any, Any], *, finite: bool) -> bytes:
    items = sorted((str(key), canonical(item, finite=finite)) for key, item in value.items())
    return b"{" + b"".join(
        struct.pack("<qq", len(key), len(item)) + key.encode() + item for key, item in items if item != NOTHING
    )


def _sequence(value: Any, *, finite: bool) -> bytes:
    numbers = _as_numbers(value)
    if numbers is None:
        parts = [canonical(item, finite=finite) for item in value]
        return b"[" + b"".join(struct.pack("<q", len(part)) + part for part in parts)
    # One NaN, and no negative zero.
    flat = np.where(np.isnan(numbers), np.nan, numbers + 0.0)
    return b"a" + repr(numbers.shape).encode() + flat.astype("<f8").tobytes()


def _as_numbers(value: Any) -> "np.ndarray[Any, np.dtype[np.float64]] | None":
    """The values as one array of floats, if that loses nothing."""
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        return None
    if array.size == 0:
        return np.zeros(array.shape, dtype="<f8")
    if array.dtype.kind == "O" and all(item is None or isinstance(item, float) for item in array.flat):
        return array.astype("<f8")
    if array.dtype.kind not in "iufb":
        return None
    if array.dtype.kind in "iu" and max(abs(int(array.max())), abs(int(array.min()))) > EXACT:
        return None
    return array.astype("<f8")
