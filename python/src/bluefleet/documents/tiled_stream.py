"""One stream's events in Tiled: rows of an SQL table, large arrays beside it as zarr; the layout is TiledWriter's.

Appending is not idempotent, and an append whose answer is lost may have happened. So before the first append, and
after each that did not succeed, the stored sequence numbers and times are read, and only what is missing goes out.
Arrays are written before the rows they belong to and at those rows' place: written twice they are the same.
"""

# Tiled, pyarrow and their plugins are untyped, and installed in the data image only.
# pyright: basic, reportMissingImports=false

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from bluesky_tiled_plugins.utils import split_table, truncate_json_overflow
from bluesky_tiled_plugins.writing.tiled_writer import MAX_ARRAY_SIZE, MAX_TABLE_COLUMNS

from bluefleet.documents.consumer import Rejected
from bluefleet.documents.errors import Poison, Refusing, Unavailable
from bluefleet.documents.known_events import Event, KnownEvents
from bluefleet.documents.patience import Patience
from bluefleet.documents.tiled_access import children, probe, read_table, translated
from bluefleet.documents.tiled_columns import Widen, first_table, next_table

Row = dict[str, Any]
#: A row with the offset of its document.
Pending = tuple[int, Row]


class StreamRows:
    """Takes events, and stores on `flush` those that Tiled does not have."""

    def __init__(self, node: Any, data_keys: Mapping[str, Any], access_tags: list[str] | None) -> None:
        self._node = node
        self._data_keys = data_keys
        self._access_tags = access_tags
        self._array_keys = _array_keys(data_keys)
        self._dims: dict[int, str] = {}
        self._pending: dict[Event, Pending] = {}
        self._stored = KnownEvents()
        self._tables: dict[str, Any] = {}
        self._arrays: dict[str, Any] = {}
        #: For people who read the run: where its arrays went (TiledWriter's words).
        self.notes: list[str] = []
        #: Every row so far in wider types, while Tiled may have none of them.
        self._taken_out: pa.Table | None = None
        #: Whether what we know is what Tiled has.
        self._sure = False

    def add(self, offset: int, row: Row) -> None:
        """Take an event."""
        self._pending.setdefault(_event(row), (offset, row))

    def flush(self, patience: Patience) -> list[Rejected]:
        """Everything that can be stored is stored when this returns."""
        rows, self._pending = list(self._pending.values()), {}
        return self._store(rows, patience) if rows else []

    @property
    def nodes(self) -> list[Any]:
        """What was written to."""
        return [*self._tables.values(), *self._arrays.values()]

    def _store(self, rows: list[Pending], patience: Patience) -> list[Rejected]:
        try:
            patience.until_available(lambda: self._append([row for _, row in rows]), lambda: probe(self._node))
        except Poison as error:
            if len(rows) == 1:
                return [Rejected(rows[0][0], str(error))]
            # One of them is at fault: it shall not take the others along.
            middle = len(rows) // 2
            return self._store(rows[:middle], patience) + self._store(rows[middle:], patience)
        return []

    def _append(self, rows: list[Row]) -> None:
        with translated(self._node.uri):
            if not self._sure:
                self._look()
            if self._taken_out is not None:
                self._put_in_again(self._taken_out)
            rows = [row for row in rows if _event(row) not in self._stored]
            if not rows:
                return
            self._sure = False
            in_arrays = self._write_arrays(rows)
            self._write_tables([{key: row[key] for key in row if key not in in_arrays} for row in rows])
            self._stored.add(_event(row) for row in rows)
            self._sure = True

    def _look(self) -> None:
        found = children(self._node)
        self._tables = {key: node for key, node in found.items() if _is_internal_table(key, node)}
        self._arrays = {key: found[key] for key in self._array_keys if key in found}
        self._stored = KnownEvents(zip(self._column("seq_num"), self._column("time"), strict=False))
        self._sure = True

    def _column(self, name: str) -> list[Any]:
        """All stored values; of a table in parts, one may be ahead of that with the sequence numbers."""
        holding = [table for table in self._tables.values() if name in table.structure().columns]
        return [value for table in holding for value in read_table(table, [name])[name].to_pylist()]

    def _write_arrays(self, rows: list[Row]) -> set[str]:
        """Write the large arrays; the keys that are now outside the table."""
        written: set[str] = set()
        for key in self._array_keys:
            if all(key in row for row in rows):
                array = self._as_array(key, [row[key] for row in rows])
                # Zarr has no chunks of length zero: such values stay in the table.
                if 0 not in array.shape:
                    self._write_array(key, array)
                    written.add(key)
        return written

    def _as_array(self, key: str, values: list[Any]) -> "np.ndarray[Any, Any]":
        existing = self._arrays.get(key)
        declared = existing.dtype if existing is not None else self._data_keys[key].get("dtype_numpy")
        dtype = None if declared is None or np.dtype(declared).kind == "O" else np.dtype(declared)
        parts = [np.asarray(value, dtype=dtype) for value in values]
        if len({part.shape for part in parts}) == 1:
            return np.stack(parts)
        length = max(part.shape[0] for part in parts)
        if any(part.ndim != 1 or part.dtype.kind != "f" for part in parts):
            raise Poison(f"{key} has another shape in each event")
        return np.stack([np.pad(part, (0, length - part.shape[0]), constant_values=np.nan) for part in parts])

    def _write_array(self, key: str, array: "np.ndarray[Any, Any]") -> None:
        if key in self._arrays:
            self._arrays[key].patch(array, offset=(len(self._stored),), extend=True)
            return
        metadata: Any = truncate_json_overflow(dict(self._data_keys[key]) | {"dtype_numpy": str(array.dtype)})
        self._arrays[key] = self._node.write_array(
            array, key=key, metadata=metadata, dims=self._dimensions(array.shape), access_tags=self._access_tags
        )
        self.notes.append(f"Internal array data for '{key}' in stream '{self._node.item['id']}' written as zarr.")

    def _dimensions(self, shape: tuple[int, ...]) -> tuple[str, ...]:
        """Events are `time`; dimensions of equal size share a name, so that arrays of a stream align."""
        return ("time", *(self._dims.setdefault(size, f"dim_int_{len(self._dims) + 1}") for size in shape[1:]))

    def _write_tables(self, rows: list[Row]) -> None:
        schema = _joined_schema(self._tables)
        if schema is None:
            self._create(first_table(rows, self._data_keys))
            return
        try:
            table = next_table(rows, schema)
        except Widen as wider:
            self._rewrite(wider.schema)
            table = next_table(rows, wider.schema)
        for key in self._in_order():
            self._append_to(key, table.select(self._tables[key].structure().columns))

    def _create(self, table: pa.Table) -> None:
        parts = [table] if table.num_columns <= MAX_TABLE_COLUMNS else list(split_table(table, MAX_TABLE_COLUMNS))
        named = {f"internal_{index}" if len(parts) > 1 else "internal": part for index, part in enumerate(parts)}
        for key, part in named.items():
            metadata = {name: self._data_keys[name] for name in part.column_names if name in self._data_keys}
            self._tables[key] = self._node.create_appendable_table(
                schema=part.schema, key=key, metadata=truncate_json_overflow(metadata), access_tags=self._access_tags
            )
        for key in self._in_order():
            self._append_to(key, named[key])

    def _in_order(self) -> list[str]:
        """The part with the sequence numbers last: a row counts as stored when it is there."""
        return sorted(self._tables, key=lambda key: "seq_num" in self._tables[key].structure().columns)

    def _append_to(self, key: str, rows: pa.Table) -> None:
        columns = self._tables[key].structure().columns
        if "seq_num" not in columns:
            # A part that got ahead of the sequence numbers when something failed between the two.
            rows = rows.slice(read_table(self._tables[key], columns[:1]).num_rows - len(self._stored))
        if rows.num_rows:
            self._tables[key].append_partition(0, rows)

    def _rewrite(self, schema: pa.Schema) -> None:
        """The same rows in wider types. Should Tiled go away in between, the next append ends this first; should this
        process, the run is read again from Kafka.
        """
        stored = [read_table(self._tables[key]) for key in sorted(self._tables)]
        columns = {name: part[name] for part in stored for name in part.column_names}
        rows = pa.table([columns[name].cast(schema.field(name).type) for name in schema.names], schema=schema)
        self._taken_out = rows
        self._put_in_again(rows)

    def _put_in_again(self, rows: pa.Table) -> None:
        self._sure = False
        for key in list(self._tables):
            self._node.delete_contents(key, recursive=True, external_only=False)
            del self._tables[key]
        self._stored = KnownEvents()
        try:
            with translated(self._node.uri):
                self._create(rows)
        except (Poison, Refusing) as error:
            # Not the fault of the document in hand, and the rows before it are nowhere but here.
            raise Unavailable(f"Tiled at {self._node.uri}: rows taken out can't be put in again: {error}") from error
        self._stored.add(zip(rows["seq_num"].to_pylist(), rows["time"].to_pylist(), strict=True))
        self._taken_out = None


def _event(row: Row) -> Event:
    return row["seq_num"], row["time"]


def _is_internal_table(key: str, node: Any) -> bool:
    return (key == "internal" or key.startswith("internal_")) and node.item["attributes"]["structure_family"] == "table"


def _joined_schema(tables: Mapping[str, Any]) -> pa.Schema | None:
    schemas = [tables[key].structure().arrow_schema_decoded for key in sorted(tables)]
    return pa.schema([field.remove_metadata() for schema in schemas for field in schema]) if schemas else None


def _array_keys(data_keys: Mapping[str, Any]) -> list[str]:
    """Keys of arrays that are too large for a table, or made of strings (TiledWriter's rule)."""
    return [
        key
        for key, about in data_keys.items()
        if "external" not in about and about.get("dtype") == "array" and _is_large(about)
    ]


def _is_large(about: Mapping[str, Any]) -> bool:
    shape = about.get("shape", ())
    if None in shape or math.prod(shape) > MAX_ARRAY_SIZE:
        return True
    declared = about.get("dtype_numpy")
    return bool(declared) and np.dtype(declared).kind in "USO"
