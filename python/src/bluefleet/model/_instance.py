"""An instance: one container on one node that drives one piece of hardware, with all that hardware asks for."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from bluefleet.model._base import Declared
from bluefleet.model._device import Device
from bluefleet.model._names import AbsolutePath, Address, Category, ImageKey, InstanceName, PortNumber

_HardwareDevice = Annotated[str, StringConstraints(pattern=r"^/dev/[^:\s]+(:/dev/[^:\s]+)?(:r?w?m?)?$")]
_CgroupRule = Annotated[str, StringConstraints(pattern=r"^[abc] (\d+|\*):(\d+|\*) r?w?m?$")]
_Capability = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z_]+$")]
_VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Port(Declared):
    """A port of the node at which an instance answers, besides Channel Access."""

    port: PortNumber = Field(description="Port on the node")
    container_port: PortNumber | None = Field(
        default=None, description="Port inside the container when it is another one (network: bridge only)"
    )
    protocol: Literal["tcp", "udp"] = Field(default="tcp", description="Transport protocol")


class Actor(Declared):
    """A port at which an instance takes commands as lines and replies in lines of JSON (clu's JSONActor)."""

    port: PortNumber = Field(description="TCP port on the node; open to the manager only")


class Nfs(Declared):
    """An export of a file server, which the node's engine mounts when a container needs it."""

    server: Address
    path: AbsolutePath = Field(description="The exported folder, as the server spells it")
    options: str = Field(
        default="nfsvers=4.2,hard",
        pattern=r"^[a-z0-9_]+(=[^,\s]+)?(,[a-z0-9_]+(=[^,\s]+)?)*$",
        description="Mount options of NFS, with commas between them; the server's address is not one of them",
    )

    @model_validator(mode="after")
    def _address_is_said_once(self) -> "Nfs":
        if any(option.partition("=")[0] in {"addr", "device"} for option in self.options.split(",")):
            raise ValueError(
                f"options {self.options!r} name the server again: `server` and `path` alone say where it is"
            )
        return self


class Tmpfs(Declared):
    """A folder in memory, gone with the container."""

    size: str = Field(pattern=r"^[1-9]\d*[kmg]$", description="Most memory it may use, such as 512m")


class Volume(Declared):
    """What a container sees besides its image: a folder of the node, a named volume of its engine, NFS, or memory."""

    source: str | None = Field(
        default=None,
        pattern=r"^(/\S*|[A-Za-z0-9][A-Za-z0-9_.-]+)$",
        description="Absolute path on the node, or the name of a volume of its engine; of nfs, none for a name of its own",
    )
    target: AbsolutePath = Field(description="Absolute path inside the container")
    read_only: bool = Field(default=False, description="Whether the container may only read it")
    nfs: Nfs | None = Field(default=None, description="It is on a file server; apply makes a volume of it")
    tmpfs: Tmpfs | None = Field(default=None, description="It is in memory")

    @model_validator(mode="after")
    def _one_kind(self) -> "Volume":
        if self.nfs is not None and self.tmpfs is not None:
            raise ValueError("a volume is on a file server and in memory: one of `nfs` and `tmpfs`")
        if self.nfs is not None and (self.source or "").startswith("/"):
            raise ValueError(f"source {self.source!r} of an nfs volume is a folder: a name, or none")
        if self.tmpfs is not None and (self.source is not None or self.read_only):
            raise ValueError("a volume in memory has a source, or is read-only: only `target` and `tmpfs`")
        if self.nfs is None and self.tmpfs is None and self.source is None:
            raise ValueError("a volume says not where it is: one of `source`, `nfs` and `tmpfs`")
        return self


class Ulimit(Declared):
    """A limit of the kernel on the processes of a container; -1 is unlimited."""

    soft: int = Field(ge=-1, description="Limit that a process starts with")
    hard: int = Field(ge=-1, description="Limit that a process may raise its own to")


class Health(Declared):
    """How the engine finds out whether an instance does its work."""

    command: list[str] = Field(min_length=1, description="Command run inside the container; healthy when it exits 0")
    interval_seconds: float = Field(default=30, gt=0, description="Time between two checks")
    timeout_seconds: float = Field(default=5, gt=0, description="Time after which a check has failed")
    start_period_seconds: float = Field(default=20, ge=0, description="Time to start in which failures do not count")
    retries: int = Field(default=3, ge=1, description="Failures in a row that make it unhealthy")


class Twin(Declared):
    """What runs in an instance's place while it is simulated: none of its hardware, all of its ports and volumes.

    `simulated: {}` is the twin of what drives no hardware: it stands in for itself.
    """

    image: ImageKey | None = Field(default=None, description="What it runs from; none for the instance's own image")
    command: list[str] = Field(
        default_factory=list,
        description="Arguments given to the image; empty for its own, without `image` for the instance's",
    )
    environment: dict[_VariableName, str] = Field(
        default_factory=dict, description="Environment variables, on top of the instance's own"
    )
    health: Health | None = Field(default=None, description="Its health check; none for the image's own")


class Instance(Declared):
    """One container on one node. Only what reaches the container is part of its spec; `devices` is not."""

    name: InstanceName
    image: ImageKey
    command: list[str] = Field(default_factory=list, description="Arguments given to the image; empty for its own")
    channel_access_port: PortNumber | None = Field(
        default=None, description="TCP and UDP port of its Channel Access server; none when it is not an IOC"
    )
    devices: list[Device] = Field(default_factory=list[Device], description="Devices that this instance serves")
    actor: Actor | None = Field(
        default=None, description="Its actor, which 'bluefleet talk' speaks to; none when it has none"
    )
    environment: dict[_VariableName, str] = Field(
        default_factory=dict, description="Environment variables; no secrets, any engine client can read them"
    )
    network: Literal["host", "bridge"] = Field(
        default="host", description="The node's own network, or one of the engine with published ports"
    )
    ports: list[Port] = Field(default_factory=list[Port], description="Ports besides that of Channel Access")
    volumes: list[Volume] = Field(
        default_factory=list[Volume], description="Folders of the node, named volumes, file servers, memory"
    )
    hardware_devices: list[_HardwareDevice] = Field(
        default_factory=list,
        description="Device files of the node, such as /dev/ttyUSB0:/dev/scope; with /dev/bus/usb, what is plugged in later too",
    )
    device_cgroup_rules: list[_CgroupRule] = Field(
        default_factory=list, description="Kinds of device files allowed even when plugged in later: 'c 189:* rwm'"
    )
    privileged: bool = Field(default=False, description="All rights on the node, for drivers that cannot do with less")
    capabilities: list[_Capability] = Field(
        default_factory=list, description="Single rights of the kernel added, such as SYS_NICE"
    )
    ulimits: dict[str, Ulimit] = Field(
        default_factory=dict[str, Ulimit], description="Kernel limits by name: rtprio, memlock"
    )
    user: str | None = Field(
        default=None,
        pattern=r"^\d+(:\d+)?$",
        description="uid or 'uid:gid' it runs as; none for the image's own user",
    )
    groups: list[int] = Field(
        default_factory=list[int], description="Supplementary gids, such as that of dialout on the node"
    )
    memory_limit: str | None = Field(
        default=None, pattern=r"^[1-9]\d*[kmg]$", description="Most memory it may use, such as 512m"
    )
    cpu_limit: float | None = Field(default=None, gt=0, description="Most processors it may use, such as 1.5")
    stop_command: list[str] = Field(
        default_factory=list,
        description="Command run inside the container before it is asked to stop: park, close, save",
    )
    stop_signal: str | None = Field(
        default=None, pattern=r"^SIG[A-Z0-9+]+$", description="Signal that asks it to stop; none for the image's own"
    )
    stop_grace_seconds: int = Field(default=10, ge=0, description="Time to stop before it is killed")
    health: Health | None = Field(default=None, description="Its health check; none for the image's own")
    categories: list[Category] = Field(default_factory=list, description="Words to choose it by, besides its node's")
    simulated: Twin | None = Field(default=None, description="What runs in its place while it is simulated")
    simulate: bool | None = Field(
        default=None, description="Whether its twin runs in its place; none for what its node says"
    )

    @model_validator(mode="after")
    def _published_ports_belong_to_a_bridge(self) -> "Instance":
        if self.network == "host" and any(port.container_port is not None for port in self.ports):
            raise ValueError("container_port has no meaning with network: host; leave it out or use network: bridge")
        return self

    def twin(self) -> "Instance | None":
        """The instance as it is while it is simulated; none when it declares no twin."""
        if self.simulated is None:
            return None
        without = ["hardware_devices", "device_cgroup_rules", "privileged", "capabilities", "ulimits", "groups"]
        found = self.simulated
        changed: dict[str, object] = {
            "environment": {**self.environment, **found.environment},
            "volumes": [one for one in self.volumes if not (one.source or "").startswith("/dev/")],
        }
        if found.image is not None:
            # What these say is for the image that they were written for.
            without += ["stop_command", "user"]
            changed |= {"image": found.image, "command": found.command, "health": found.health}
        elif found.command:
            changed["command"] = found.command
        if found.health is not None:
            changed["health"] = found.health
        defaults = {name: type(self).model_fields[name].get_default(call_default_factory=True) for name in without}
        return self.model_copy(update={**defaults, **changed})

    @property
    def pv_prefix(self) -> str | None:
        """The prefix its command serves: what follows `--prefix`, as every caproto IOC spells it."""
        for position, word in enumerate(self.command):
            if word == "--prefix" and position + 1 < len(self.command):
                return self.command[position + 1]
            if word.startswith("--prefix="):
                return word.removeprefix("--prefix=")
        return None
