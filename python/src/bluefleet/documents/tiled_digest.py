"""What Tiled holds of a run, in the terms in which documents are summed up."""

# Tiled, pyarrow and their plugins are untyped, and installed in the data image only.
# pyright: basic, reportMissingImports=false

from typing import Any

from tiled.queries import Key

from bluefleet.documents.digest import Digester
from bluefleet.documents.errors import RunNotFound
from bluefleet.documents.run_digest import RunDigest
from bluefleet.documents.run_reference import RunReference
from bluefleet.documents.tiled_access import child, plain, read_table, translated


def tiled_digest(client: Any, text: str) -> RunDigest:
    """Raises RunNotFound, Unavailable."""
    with translated(client.uri):
        node = _find(client, RunReference.parse(text))
        if node is None:
            raise RunNotFound(f"no run {text} in Tiled")
        uid: str = node.item["id"]
        digester = Digester(uid)
        digester.add("start", dict(node.metadata["start"]))
        for name, stream in plain(node).items():
            _add_stream(digester, name, plain(stream))
        stop = node.metadata.get("stop")
        if stop:
            digester.add("stop", dict(stop))
        return digester.finish()


def _find(client: Any, reference: RunReference) -> Any:
    if reference.position is not None:
        values = client.values()
        return values[reference.position] if -reference.position <= len(values) else None
    if reference.scan_id is not None:
        found = client.search(Key("start.scan_id") == reference.scan_id)
        return found.values().last() if len(found) else None
    exact = child(client, reference.uid)
    if exact is not None:
        return exact
    keys = [key for key in client if key.startswith(reference.uid)]
    return child(client, keys[0]) if len(keys) == 1 else None


def _add_stream(digester: Digester, name: str, stream: Any) -> None:
    data_keys: dict[str, Any] = stream.metadata.get("data_keys", {})
    children = dict(stream.items())
    tables = [
        node
        for key, node in sorted(children.items())
        if node.item["attributes"]["structure_family"] == "table" and key.startswith("internal")
    ]
    columns: dict[str, list[Any]] = {}
    for table in tables:
        columns |= read_table(table).to_pydict()
    arrays = {
        key: children[key].read() for key, about in data_keys.items() if "external" not in about and key in children
    }
    for index, seq_num in enumerate(columns.get("seq_num", [])):
        inside = {key: columns[key][index] for key in data_keys if key in columns}
        inside |= {key: array[index] for key, array in arrays.items() if index < len(array)}
        stamps = {key: columns[f"ts_{key}"][index] for key in data_keys if f"ts_{key}" in columns}
        digester.add_row(name, seq_num, columns["time"][index], inside, stamps)
    changes = stream.metadata.get("_config_updates", [])
    descriptors = [stream.metadata["uid"], *(change["uid"] for change in changes)]
    external = [key for key, about in data_keys.items() if "external" in about and key in children]
    digester.add_stream(name, descriptors, external)
