"""Hosts of a site, and those of them that have hardware attached."""

from typing import Literal, TypeAlias

from pydantic import Field

from bluefleet.model._base import Declared
from bluefleet.model._instance import Instance
from bluefleet.model._names import Address, Category, HostName, PortNumber
from bluefleet.model._power import Power

Transport: TypeAlias = Literal["tls", "ssh", "plain"]


class Host(Declared):
    """A machine of the site."""

    address: Address
    groups: list[str] = Field(default_factory=list, description="Groups of the inventory it is in: what it is for")


class Node(Declared):
    """A host with hardware attached; its Docker engine is driven by the manager."""

    name: HostName
    address: Address
    transport: Transport = Field(default="tls", description="How the manager reaches its engine")
    port: PortNumber = Field(default=2376, description="Port of its engine (tls, plain) or of its sshd (ssh)")
    ssh_user: str = Field(default="bluefleet", description="User of the node that the manager logs in as (ssh)")
    power: Power | None = Field(
        default=None,
        description="How its power is cut and given back (`reboot --hard`); none when nobody can from afar",
    )
    categories: list[Category] = Field(default_factory=list, description="Words to choose it, and all it runs, by")
    simulate: bool = Field(
        default=False, description="Whether twins run in place of its instances, but for those that say otherwise"
    )
    instances: list[Instance] = Field(default_factory=list[Instance], description="Containers it should run")

    def simulates(self, instance: Instance) -> bool:
        """Whether the inventory declares that the twin of one of its instances runs in its place."""
        return self.simulate if instance.simulate is None else instance.simulate
