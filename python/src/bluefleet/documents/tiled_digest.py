"""What Tiled holds of a run, in the terms in which documents are summed up."""

# Tiled, pyarrow and their plugins are untyped, and installed in the data image only.
# pyright: basic, reportMissingImports=false

import time
from typing import Any

import httpx

from bluefleet.documents.digest import Digester
from bluefleet.documents.errors import Poison, Unavailable
from bluefleet.documents.named_runs import meant
from bluefleet.documents.run_digest import RunDigest
from bluefleet.documents.run_reference import RunReference
from bluefleet.documents.tiled_access import children, read_table, translated
from bluefleet.documents.tiled_named import named_by, nodes_named
from bluefleet.documents.tiled_points import points

#: A table whose types get wider is taken out and put in again, in some tenths of a second.
ATTEMPTS = 3
PAUSE = 0.3


def tiled_digest(client: Any, text: str) -> RunDigest:
    """Raises RunNotFound, Unavailable; Poison when what is there is no run."""
    for _ in range(ATTEMPTS):
        try:
            return _digest(client, text)
        except Poison as error:
            cause = error.__cause__
            if not isinstance(cause, httpx.HTTPStatusError) or cause.response.status_code != httpx.codes.NOT_FOUND:
                raise
            time.sleep(PAUSE)
    raise Unavailable(f"Tiled at {client.uri}: run {text} changes while it is read")


def _digest(client: Any, text: str) -> RunDigest:
    with translated(client.uri):
        reference = RunReference.parse(text)
        found = nodes_named(client, reference)
        uid = meant(reference, map(named_by, found))
        node = next(each for each in found if each.item["id"] == uid)
        digester = Digester(uid)
        digester.add("start", dict(node.metadata["start"]))
        for name, stream in children(node).items():
            _add_stream(digester, name, stream)
        stop = node.metadata.get("stop")
        if stop:
            digester.add("stop", dict(stop))
        return digester.finish()


def _add_stream(digester: Digester, name: str, stream: Any) -> None:
    data_keys: dict[str, Any] = stream.metadata.get("data_keys", {})
    inside_of = children(stream)
    tables = [
        node
        for key, node in sorted(inside_of.items())
        if node.item["attributes"]["structure_family"] == "table" and key.startswith("internal")
    ]
    columns: dict[str, list[Any]] = {}
    for table in tables:
        columns |= read_table(table).to_pydict()
    arrays = {
        key: inside_of[key].read() for key, about in data_keys.items() if "external" not in about and key in inside_of
    }
    for index, seq_num in enumerate(columns.get("seq_num", [])):
        inside = {key: columns[key][index] for key in data_keys if key in columns}
        inside |= {key: array[index] for key, array in arrays.items() if index < len(array)}
        stamps = {key: columns[f"ts_{key}"][index] for key in data_keys if f"ts_{key}" in columns}
        digester.add_row(name, seq_num, columns["time"][index], inside, stamps)
    changes = stream.metadata.get("_config_updates", [])
    descriptors = [stream.metadata["uid"], *(change["uid"] for change in changes)]
    external = [key for key, about in data_keys.items() if "external" in about and key in inside_of]
    # Of the older kind of documents nobody but their handler knows how many frames they stand for.
    streamed = [key for key in external if data_keys[key]["external"].startswith("STREAM:")]
    counted = {key: _points(inside_of[key], data_keys[key]) for key in streamed}
    digester.add_stream(
        name, descriptors, external, {key: count for key, count in counted.items() if count is not None}
    )


def _points(node: Any, about: dict[str, Any]) -> int | None:
    shape = getattr(node.structure(), "shape", None)
    return points(shape, about.get("shape", []), node.metadata.get("frame_per_point")) if shape else None
