"""What a site declares of its hardware, as it can be on a machine that has none of it."""

from collections.abc import Collection, Iterator
from typing import Any, cast

from bluefleet.inventory import Entry, Finding, line_at
from bluefleet.model import TWIN_REMEDY
from bluefleet.rehearsal._templates import asks_others


def not_to_be_rehearsed(host: str, entry: Entry, built: Collection[str]) -> Iterator[Finding]:
    """Instances without a twin, or with one whose image is not `built` here, at their lines."""
    value: Any = entry.value
    if not isinstance(value, list):
        yield Finding(
            entry.file,
            entry.line,
            host,
            entry.name,
            value,
            "a template stands for all instances, and a rehearsal must see which of them have twins",
            "Write the list out; values within it may be templates",
        )
        return
    if entry.sealed or asks_others(cast("Any", value)):
        yield Finding(
            entry.file,
            entry.line,
            host,
            entry.name,
            None,
            "a part of it is encrypted, or its template may ask the site for the value: a rehearsal can't use it",
            "Write it in plain text; a secret belongs in no instance",
        )
        return
    for position, instance in enumerate(_mappings(cast("list[Any]", value))):
        name = instance.get("name")
        if not isinstance(instance.get("simulated"), dict):
            yield Finding(
                entry.file,
                line_at(entry.node, (position, "name")),
                host,
                f"{entry.name}[{position}].name",
                name,
                f"instance '{name}' has no twin, so it can't be rehearsed",
                TWIN_REMEDY,
            )
        elif _stand_in(instance) not in built:
            yield Finding(
                entry.file,
                line_at(entry.node, (position, "simulated", "image")),
                host,
                f"{entry.name}[{position}].simulated.image",
                _stand_in(instance),
                f"the twin of '{name}' runs from an image that is not built here, and a rehearsal fetches none",
                f"Give it one of {', '.join(sorted(built))}",
            )


def rehearsed(instances: list[Any]) -> list[Any]:
    """Instances without a word against their twins, and with images and volumes that there are on this machine."""
    found: list[Any] = []
    for instance in _mappings(instances):
        volumes = instance.get("volumes")
        changed = {key: value for key, value in instance.items() if key != "simulate"}
        # Its own never runs, and a site's own image would be fetched from where it is published.
        changed["image"] = _stand_in(instance)
        if isinstance(volumes, list):
            changed["volumes"] = [_local(volume) for volume in _mappings(cast("list[Any]", volumes))]
        found.append(changed)
    return found


def file_servers(instances: list[Any]) -> Iterator[str]:
    """Exports that instances mount, as server:path."""
    for instance in _mappings(instances):
        for volume in _mappings(instance.get("volumes") or []):
            if isinstance(volume.get("nfs"), dict):
                yield f"{volume['nfs'].get('server')}:{volume['nfs'].get('path')}"


def _stand_in(instance: dict[str, Any]) -> Any:
    """The image that runs in its place."""
    return instance["simulated"].get("image") or instance.get("image")


def _local(volume: dict[str, Any]) -> dict[str, Any]:
    """A volume of the virtual node's own engine in place of one on a file server."""
    nfs = volume.get("nfs")
    if not isinstance(nfs, dict):
        return volume
    kept = {key: value for key, value in volume.items() if key != "nfs"}
    spelled = f"{nfs.get('server')}-{nfs.get('path')}"  # pyright: ignore[reportUnknownMemberType]
    return {"source": "".join(letter if letter.isalnum() else "-" for letter in spelled).strip("-"), **kept}


def _mappings(values: list[Any]) -> Iterator[dict[str, Any]]:
    return (cast("dict[str, Any]", value) for value in values if isinstance(value, dict))
