"""What the proof is told of the site. `playbooks/verify.yml` renders it."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Facts(BaseModel):
    """Base of what is told: nothing unknown, nothing changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(Facts):
    """What a host's firewall opens: the rule that role firewall has for it."""

    name: str
    protocol: Literal["tcp", "udp"]
    port: int
    sources: list[tuple[str, list[str]]] | None = Field(
        description="Addresses and networks by family; none when it is open to anybody"
    )

    def admits(self, address: str) -> bool:
        """Whether packets from there are let in."""
        here = ip_address(address)
        networks = [ip_network(one) for _, members in self.sources or [] for one in members]
        return self.sources is None or any(here in network for network in networks)


class Host(Facts):
    """A machine of the site."""

    address: str
    groups: list[str]
    ssh_port: int = 22
    firewalled: bool = True
    rules: list[Rule]


class Engine(Facts):
    """The engine of a node."""

    host: str
    port: int
    transport: Literal["tls", "ssh", "plain"]


class Site(Facts):
    """Everything that is proved, and with what."""

    site: str
    hosts: dict[str, Host]
    services: list[str] = Field(description="Names of rules whose service is always there, from the port table")
    kafka_port: int
    never: list[int] = Field(description="Ports that must not answer unless a rule says so")
    engines: list[Engine]
    registry: str | None = Field(description="host:port of the registry; none when the site has none")
    registry_tls: bool
    acquisition: str | None = Field(description="Host of the acquisition pod")
    data: str | None = Field(description="Host of the data pod")
    fleet: str | None = Field(description="The manager, when its fleet service is behind an edge; none otherwise")
    jupyter: bool = Field(default=False, description="Whether the data pod has notebooks")
    ca_file: Path
    stranger_certificate: Path = Field(description="A client's certificate of the site CA, which engines must not take")
    stranger_key: Path
    queue_api_key_file: Path
    tiled_api_key_file: Path
    fleet_token_file: Path
    kafka_password_file: Path = Field(description="Of the user `listener`")

    def address(self, host: str) -> str:
        return self.hosts[host].address
