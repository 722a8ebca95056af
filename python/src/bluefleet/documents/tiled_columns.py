"""Events as Arrow columns: types from what the descriptor declares, and what to do when values say otherwise.

A column's type is fixed when its table is made, and live tables are made from the first event. So the declared type
decides and not the first value: a motor that begins at the integer 0 goes on to 1.5.
"""

# Tiled, pyarrow and their plugins are untyped, and installed in the data image only.
# pyright: basic, reportMissingImports=false

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from bluefleet.documents.codec import plain
from bluefleet.documents.errors import Poison

Row = Mapping[str, Any]

DECLARED = {"number": pa.float64(), "integer": pa.int64(), "string": pa.string(), "boolean": pa.bool_()}


class Widen(Exception):
    """The table's types don't hold these values, but these would."""

    def __init__(self, schema: pa.Schema) -> None:
        super().__init__("wider types needed")
        self.schema = schema


def first_table(rows: Sequence[Row], data_keys: Mapping[str, Mapping[str, Any]]) -> pa.Table:
    """A table of these rows whose types later rows of the same descriptor will fit."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = [_first_column([plain(row.get(name)) for row in rows], _declared(name, data_keys)) for name in names]
    return pa.table(dict(zip(names, columns, strict=True)))


def next_table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    """A table of these rows in the stored types. Raises Widen, or Poison for what can't be in that table."""
    unknown = {name for row in rows for name in row}.difference(schema.names)
    if unknown:
        raise Poison(f"its table has no column {', '.join(sorted(unknown))}")
    columns: list[pa.Array] = []
    wanted = schema
    for index, field in enumerate(schema):
        values = [plain(row.get(field.name)) for row in rows]
        try:
            columns.append(_as(field.type, values))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            wanted = wanted.set(index, field.with_type(_wider(field, values)))
    if wanted is not schema:
        raise Widen(wanted)
    return pa.table(columns, schema=schema)


def _declared(name: str, data_keys: Mapping[str, Mapping[str, Any]]) -> pa.DataType | None:
    if name == "seq_num":
        return pa.int64()
    if name == "time" or (name.startswith("ts_") and name not in data_keys):
        return pa.float64()
    return DECLARED.get(data_keys.get(name, {}).get("dtype", ""))


def _first_column(values: list[Any], declared: pa.DataType | None) -> pa.Array:
    if declared is not None:
        try:
            return _as(declared, values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            # The descriptor is wrong about it: as it is, then.
            return _inferred(values)
    return _inferred(values)


def _as(wanted: pa.DataType, values: list[Any]) -> pa.Array:
    """The values in that type; raises where something would be lost (pa.array itself cuts 1.5 to 1)."""
    column = pa.array(values)
    if pa.types.is_null(column.type):
        return pa.nulls(len(values), wanted)
    if _kind(column.type) != _kind(wanted):
        raise pa.ArrowTypeError(f"{column.type} is no {wanted}")
    return column.cast(wanted)


def _kind(of: pa.DataType) -> str:
    if pa.types.is_integer(of) or pa.types.is_floating(of):
        return "number"
    if pa.types.is_string(of) or pa.types.is_large_string(of):
        return "string"
    return "list" if pa.types.is_list(of) or pa.types.is_large_list(of) else str(of)


def _inferred(values: list[Any]) -> pa.Array:
    column = pa.array(values)
    if pa.types.is_null(column.type):
        return column.cast(pa.string())
    if pa.types.is_list(column.type):
        # Lists of integers as floats: the next event's may have fractions.
        return column.cast(_list_type(column.type))
    return column


def _list_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(_list_type(kind.value_type))
    if pa.types.is_integer(kind):
        return pa.float64()
    return pa.string() if pa.types.is_null(kind) else kind


def _wider(field: pa.Field, values: list[Any]) -> pa.DataType:
    kind = _inferred(values).type
    if pa.types.is_integer(field.type) and pa.types.is_floating(kind):
        return pa.float64()
    raise Poison(f"{field.name} is {kind}, and its column in the table is {field.type}")
