"""The whole declared site."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from bluefleet.model._base import Declared
from bluefleet.model._device import Device
from bluefleet.model._instance import Instance
from bluefleet.model._names import HostName, ImageKey, SiteName
from bluefleet.model._node import Host, Node
from bluefleet.model._services import Acquisition, Image, Kafka, Pods, Registry


@dataclass(frozen=True)
class PlacedDevice:
    """A device with the instance that serves it and the node that runs that."""

    node: Node
    instance: Instance
    device: Device


class Site(Declared):
    """The declared state of one laboratory, rendered from its inventory into fleet.yml."""

    schema_version: Literal[1] = Field(description="Version of this file's shape")
    site: SiteName
    hosts: dict[HostName, Host] = Field(description="Every machine of the site, by its name in the inventory")
    registry: Registry | None = Field(description="The site's own registry; none when images come from a remote one")
    images: dict[ImageKey, Image] = Field(description="Images that instances may name")
    nodes: list[Node] = Field(description="Hosts with hardware, and what they run: the fleet")
    pods: Pods = Field(default_factory=Pods, description="Where the service containers are")
    acquisition: Acquisition = Field(default_factory=Acquisition, description="What the site adds to every RunEngine")
    kafka: Kafka | None = Field(default=None, description="The document stream; none without an acquisition pod")

    def hosts_in(self, group: str) -> list[HostName]:
        """Its machines of one purpose."""
        return [name for name, host in self.hosts.items() if group in host.groups]

    def node(self, name: str) -> Node | None:
        """Return the node of that name, if there is one."""
        return next((node for node in self.nodes if node.name == name), None)

    def placed_devices(self) -> Iterator[PlacedDevice]:
        """Go through all devices, with where they are, in the order in which they are declared."""
        for node in self.nodes:
            for instance in node.instances:
                for device in instance.devices:
                    yield PlacedDevice(node, instance, device)

    def channel_access_addresses(self) -> list[str]:
        """List host:port of every IOC: a search sent to a host alone reaches only one of the IOCs on it."""
        return [
            f"{node.address}:{instance.channel_access_port}"
            for node in self.nodes
            for instance in node.instances
            if instance.channel_access_port is not None
        ]


def schema_text() -> str:
    """Write the JSON schema of the site file, for editors and for other programs."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Site.model_json_schema(by_alias=True)}
    return json.dumps(schema, indent=2) + "\n"
