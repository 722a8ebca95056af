"""What the proof is told of the site. `playbooks/verify.yml` renders it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Facts(BaseModel):
    """Base of what is told: nothing unknown, nothing changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Host(Facts):
    """A machine of the site."""

    address: str
    groups: list[str]
    hardware_ports: list[int] = Field(default=[], description="Ports of its instances")


class Port(Facts):
    """An entry of the port table."""

    port: int
    hosts: list[str] = Field(description="Groups of hosts on which it answers")
    clients: list[str] = Field(description="Groups of hosts that may use it, or `any`")
    transport: str | None = None
    description: str = ""


class Engine(Facts):
    """The engine of a node."""

    host: str
    port: int
    transport: Literal["tls", "ssh", "plain"]


class Site(Facts):
    """Everything that is proved, and with what."""

    site: str
    hosts: dict[str, Host]
    ports: dict[str, Port]
    never: list[int] = Field(description="Ports that must not answer unless the table says so")
    engines: list[Engine]
    registry: str | None = Field(description="host:port of the registry; none when the site has none")
    registry_tls: bool
    acquisition: str | None = Field(description="Host of the acquisition pod")
    data: str | None = Field(description="Host of the data pod")
    ca_file: Path
    stranger_certificate: Path = Field(description="A certificate of the site CA, which engines must not take")
    stranger_key: Path
    queue_api_key_file: Path
    tiled_api_key_file: Path
    kafka_password_file: Path = Field(description="Of the user `listener`")

    def address(self, host: str) -> str:
        return self.hosts[host].address
