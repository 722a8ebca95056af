"""The device database, happi's JSON: what a RunEngine makes its devices from."""

import json
from typing import Any

from bluefleet.model._site import PlacedDevice, Site


def device_database(site: Site) -> str:
    """Write the text of the database. The same site always gives the same text: no times in it."""
    items = {placed.device.name: _item(placed) for placed in site.placed_devices()}
    return json.dumps(items, indent=2, sort_keys=True) + "\n"


def _item(placed: PlacedDevice) -> dict[str, Any]:
    device, instance, node = placed.device, placed.instance, placed.node
    item: dict[str, Any] = {
        "_id": device.name,
        "name": device.name,
        "type": "HappiItem" if device.prefix is None else "OphydItem",
        "device_class": device.class_path,
        "args": [] if device.prefix is None else ["{{prefix}}"],
        "kwargs": {"name": "{{name}}", **device.arguments},
        "active": True,
        "documentation": f"{instance.name} on {node.name}",
        "node": node.name,
        "instance": instance.name,
    }
    if device.prefix is not None:
        item["prefix"] = device.prefix
    if device.baseline:
        item["baseline"] = True
    if instance.channel_access_port is not None:
        item["channel_access"] = f"{node.address}:{instance.channel_access_port}"
    return item
