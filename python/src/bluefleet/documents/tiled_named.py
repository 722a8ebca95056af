"""Runs of Tiled's catalogue by the names that people give them."""

# Tiled is untyped, and installed in images only.
# pyright: basic, reportMissingImports=false

from typing import Any

from tiled.queries import Key

from bluefleet.documents.named_runs import NamedRun
from bluefleet.documents.run_reference import UID_LENGTH, RunReference
from bluefleet.documents.tiled_access import PROBE, child, translated


def tiled_named(client: Any, reference: RunReference) -> list[NamedRun]:
    """The last runs, the latest of a scan id, or those whose uid begins so. Raises Unavailable."""
    with translated(client.uri):
        return [named_by(node) for node in nodes_named(client, reference)]


def nodes_named(client: Any, reference: RunReference) -> list[Any]:
    """The same as nodes of the catalogue."""
    if reference.position is not None:
        return _last(client, -reference.position)
    if reference.scan_id is not None:
        found = client.search(Key("start.scan_id") == reference.scan_id)
        return [found.values().last()] if len(found) else []
    exact = child(client, reference.uid)
    if exact is not None:
        return [exact]
    if len(reference.uid) == UID_LENGTH:
        # The beginning of nothing longer; the catalogue may be large.
        return []
    return [child(client, key) for key in client if key.startswith(reference.uid) and not key.startswith(PROBE)]


def named_by(node: Any) -> NamedRun:
    """What names this run."""
    return NamedRun.of_start(node.metadata["start"])


def _last(client: Any, count: int) -> list[Any]:
    """So many runs from the end; what probes left does not count."""
    values = client.values()
    found: list[Any] = []
    for place in range(1, len(values) + 1):
        if len(found) == count:
            break
        node = values[-place]
        if not node.item["id"].startswith(PROBE):
            found.append(node)
    return found
