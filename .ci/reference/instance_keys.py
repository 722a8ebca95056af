"""The keys of an instance, from the models that check them."""

from collections.abc import Iterator, Mapping
from typing import Any

from bluefleet.model import Instance

SOURCE = "python/src/bluefleet/model"
Schema = Mapping[str, Any]

_TOP = f"""\
# Keys of an instance

Generated from `{SOURCE}`. An instance is an entry of `node_instances`, in `host_vars/<node>.yml`: [add an IOC](../how-to/add-an-ioc.md).
A key without a default may be left out; then there is none of it. `bluefleet validate` refuses any other key, and says file and line.
"""
# As Ansible calls them, and so the READMEs of roles.
_KINDS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
# What the inventory's words say better than those of the site file.
_SAID = {
    "image": "What it runs from: `ioc` or `camera` of this project, or a key of `site_published_images`",
    "devices": "[Devices](../how-to/add-a-device.md) that this instance serves",
    "actor": "Its [actor](../how-to/talk-to-actors.md), which `bluefleet talk` speaks to",
    "volumes": "[Storage](../how-to/declare-volumes.md): folders of the node, named volumes, file servers, memory",
    "simulated": "Its [twin](../how-to/take-out-of-use.md#a-simulated-twin): what runs in its place while it is simulated",
}


def page() -> str:
    """Every key of an instance, and of what stands below one, as a page."""
    schema = Instance.model_json_schema(by_alias=True)
    places = _places(schema)
    parts = [_TOP, *_table(schema, places, _SAID), ""]
    for name, place in places.items():
        model = schema["$defs"][name]
        parts += [f"## `{place}`\n", " ".join(model["description"].split()) + "\n", *_table(model, places, {}), ""]
    return "\n".join(parts).rstrip("\n") + "\n"


def _places(schema: Schema) -> dict[str, str]:
    """Each model below an instance, with the shortest way to it, such as `volumes.nfs`; in the order of the keys."""
    found: dict[str, str] = {}
    looked_at: list[tuple[Schema, str]] = [(schema, "")]
    for model, above in looked_at:
        for key, shape in model["properties"].items():
            name = _model(shape)
            if name and name not in found:
                found[name] = f"{above}{key}"
                looked_at.append((schema["$defs"][name], f"{above}{key}."))
    order = list(schema["properties"])
    return dict(sorted(found.items(), key=lambda one: order.index(one[1].partition(".")[0])))


def _table(model: Schema, places: Mapping[str, str], said: Mapping[str, str]) -> Iterator[str]:
    yield "| key | type | default | what it is |"
    yield "| --- | --- | --- | --- |"
    for key, shape in model["properties"].items():
        default = "required" if key in model.get("required", ()) else _default(shape)
        words = said.get(key) or shape["description"].replace("<", "\\<").replace("|", "\\|")
        yield f"| `{key}` | {_kind(shape, places)} | {default} | {words} |"


def _default(shape: Schema) -> str:
    value = shape.get("default")
    if value is None:
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _kind(shape: Schema, places: Mapping[str, str]) -> str:
    shape = _whole(shape)
    name = shape.get("$ref", "").rpartition("/")[2]
    if name:
        return f"[{name.lower()}](#{places[name].replace('.', '')})"
    if "enum" in shape:
        return f"str: {', '.join(shape['enum'])}"
    if shape["type"] == "array":
        return f"list of {_kind(shape['items'], places)}"
    if shape["type"] == "object":
        inside = _values(shape)
        return f"dict of {_kind(inside, places)}" if inside else "dict"
    return _KINDS[shape["type"]]


def _model(shape: Schema) -> str:
    """The model that a key's value, or each of its values, is one of."""
    shape = _whole(shape)
    inside = shape.get("items") or _values(shape)
    return _model(inside) if inside else shape.get("$ref", "").rpartition("/")[2]


def _values(shape: Schema) -> Schema | None:
    """What the values of a map are; none when they may be anything."""
    found = shape.get("additionalProperties") or next(iter(shape.get("patternProperties", {}).values()), None)
    return found if isinstance(found, Mapping) else None


def _whole(shape: Schema) -> Schema:
    """Without the null that stands for a key that was left out."""
    for one in shape.get("anyOf", ()):
        if one.get("type") != "null":
            return one
    return shape
