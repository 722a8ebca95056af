"""The keywords of replies: fliswarm's for nodes, containers and volumes, `instance` for what it has no word for."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, cast

from bluefleet.fleet import InstanceStatus, NodeStatus, NodeVolumes, Target
from bluefleet.model import Node, Site

# A reply: its code and its keywords.
Said: TypeAlias = tuple[str, dict[str, Any]]

# What stands in a place for which there is nothing to say.
NONE = "NA"
# Docker's own length of a short id.
_SHORT = 12
# The code of an actor's reply → that of ours, so that only our own command ends.
_RELAYED = {">": "d", ":": "i", "f": "w", "e": "w"}
# Texts that the legacy wire can carry as they are.
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+\[\]()-]+")


def _row(*kinds: str) -> dict[str, Any]:
    items = [{"type": kind} for kind in kinds]
    return {"type": "array", "items": items, "minItems": len(kinds), "maxItems": len(kinds)}


# What `get_schema` answers. What instances say passes as it is: nobody knows its keywords before.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "enabledNodes": {"type": "array", "items": {"type": "string"}},
        "node": _row("string", "string", "string", "boolean", "boolean"),
        "container": _row("string", "string"),
        "instance": _row("string", "string", "string", "string"),
        "volume": _row("string", "string", "boolean", "string"),
        "filename_bundle": {"type": "array", "items": {"type": "string"}},
    },
    "additionalProperties": True,
}


def node_replies(node: Node, seen: NodeStatus, volumes: NodeVolumes | None, *, alive: bool) -> Iterator[Said]:
    """All that `status` says of one node. `alive`: the host answers, whatever its engine does."""
    if not seen.reachable:
        what = (
            f"Docker client on node {node.address} is not connected"
            if alive
            else f"Node {node.address} is not answering"
        )
        yield "w", {"text": f"{what}: {seen.reason}. {seen.remedy}".rstrip(". ") + "."}
    yield "i", {"node": [node.name, node.address, _engine(node), alive or seen.reachable, seen.reachable]}
    for problem in seen.problems:
        yield "w", {"text": f"{node.name}: {problem}."}
    if not seen.reachable:
        return
    if not any(instance.state == "running" for instance in seen.instances):
        yield "w", {"text": f"No containers running on {node.address}."}
    if not seen.instances:
        yield "d", {"container": [node.name, NONE]}
    for instance in sorted(seen.instances, key=lambda one: one.name):
        yield from _instance_replies(node.name, instance)
    yield from _volume_replies(node.name, volumes)


def _engine(node: Node) -> str:
    if node.transport == "ssh":
        return f"ssh://{node.ssh_user}@{node.address}:{node.port}"
    return f"tcp://{node.address}:{node.port}"


def _instance_replies(node: str, instance: InstanceStatus) -> Iterator[Said]:
    if not instance.ok:
        yield "w", {"text": f"{node}/{instance.name}: {instance.reason}."}
    container = instance.container[:_SHORT] if instance.state == "running" else NONE
    yield (
        "d",
        {"container": [node, container], "instance": [node, instance.name, instance.state, instance.health or NONE]},
    )


def _volume_replies(node: str, volumes: NodeVolumes | None) -> Iterator[Said]:
    if volumes is None:
        return
    if volumes.error:
        yield "w", {"text": f"{node}: {volumes.error}. {volumes.remedy}".rstrip(". ") + "."}
    for one in volumes.volumes:
        if not one.present:
            yield "w", {"text": f"Volume {one.volume} not present in {node}."}
        yield "d", {"volume": [node, one.volume, one.present, (one.device or NONE) if one.present else NONE]}


def relayed(sender: str, code: str, keywords: Mapping[str, Any]) -> Iterator[Said]:
    """A reply of an instance's actor as it is passed on: its name stands before every value. `help` has a reply a line."""
    values = {key: [sender, *_listed(value)] for key, value in keywords.items()}
    ours = _RELAYED.get(code, code)
    for line in values.pop("help", ()):
        yield ours, {"help": line}
    if values:
        yield ours, values


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def filenames_of(keywords: Mapping[str, Any]) -> list[str]:
    """The frames that a reply of an actor names: `filename`, a text or, from basecam's cameras, an object with one."""
    value = keywords.get("filename")
    if isinstance(value, Mapping):
        value = cast("Mapping[str, Any]", value).get("filename")
    return [value] if isinstance(value, str) else []


def called(site: Site, target: Target) -> str:
    """What an instance is called in replies: by its name, with its node where another node has an actor of that name."""
    actors = [one.name for node in site.nodes for one in node.instances if one.actor is not None]
    return target.instance if actors.count(target.instance) == 1 else target.label


def for_legacy(message: dict[str, Any]) -> dict[str, Any]:
    """The keywords as the legacy wire can carry them: what would end a value, a line or nest too deep is quoted."""
    return {key: _quoted(value) for key, value in message.items()}


def _quoted(value: Any, *, inside: bool = False) -> Any:
    if isinstance(value, str):
        as_it_is = _PLAIN.fullmatch(value) or not (value or inside)
        return value if as_it_is else json.dumps(value)
    if isinstance(value, list):
        return [_quoted(one, inside=True) for one in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        inner = cast("Mapping[str, Any]", value)
        if any(isinstance(one, Mapping) for one in inner.values()):
            return json.dumps(json.dumps(inner))
        return {key: _quoted(one, inside=True) for key, one in inner.items()}
    return value
