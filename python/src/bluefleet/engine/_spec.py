"""What a container should be, and the sha256 that tells whether it still is."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

LABEL = "org.bluefleet"
SPEC_LABEL = f"{LABEL}.spec"

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A command inside the container that exits 0 when all is well; times in seconds.

    While the container starts it is asked every second, so that who waits for health waits no longer than needed.
    """

    command: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 5.0
    retries: int = 3
    start_period: float = 20.0
    start_interval: float = 1.0


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of the node, a volume of its engine, or memory (of `size` bytes), inside the container.

    A volume with `options` is made with them, those of the engine's own driver.
    """

    kind: Literal["bind", "volume", "tmpfs"]
    source: str
    target: str
    read_only: bool = False
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    size: int = 0


@dataclass(frozen=True, slots=True)
class HostDevice:
    """A device file of the node inside the container."""

    path: str
    target: str
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True)
class Limit:
    """One ulimit; -1 is unlimited."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """A port of the node that leads to one of the container."""

    port: int
    container_port: int
    protocol: str = "tcp"

    @property
    def inside(self) -> str:
        """The container's side in the engine's spelling."""
        return f"{self.container_port}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """All of a container that this project decides. Memory in bytes, times in seconds."""

    name: str
    reference: str
    digest: str
    labels: Mapping[str, str]
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    user: str = ""
    groups: tuple[str, ...] = ()
    network: str = "host"
    ports: tuple[PublishedPort, ...] = ()
    privileged: bool = False
    capabilities: tuple[str, ...] = ()
    devices: tuple[HostDevice, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    limits: tuple[Limit, ...] = ()
    memory: int = 0
    cpus: float = 0.0
    health: HealthCheck | None = None
    stop_signal: str = ""
    stop_grace: int = 10

    @property
    def sha256(self) -> str:
        """Changes when, and only when, something that reaches the container changes.

        The image counts by its digest: the same image from a registry that moved is the same image.
        """
        content = _body(replace(self, reference=self.digest))
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def body(self, image: str) -> dict[str, Any]:
        """The engine's own words for it (`POST /containers/create`), run from `image`."""
        body = _body(replace(self, reference=image))
        body["Labels"] = {**self.labels, SPEC_LABEL: self.sha256}
        return body


def _body(spec: ContainerSpec) -> dict[str, Any]:
    return _without_empty(
        {
            "Image": spec.reference,
            "Cmd": list(spec.command),
            "Env": [f"{key}={value}" for key, value in sorted(spec.environment.items())],
            "User": spec.user,
            "ExposedPorts": {port.inside: dict[str, str]() for port in spec.ports},
            "Healthcheck": _health(spec.health) if spec.health else None,
            "StopSignal": spec.stop_signal,
            "StopTimeout": spec.stop_grace,
            "Labels": dict(sorted(spec.labels.items())),
            "HostConfig": _host(spec),
        }
    )


def _host(spec: ContainerSpec) -> dict[str, Any]:
    return _without_empty(
        {
            "NetworkMode": spec.network,
            "PortBindings": {port.inside: [{"HostPort": str(port.port)}] for port in spec.ports},
            "Privileged": spec.privileged,
            "CapAdd": list(spec.capabilities),
            # A driver needs no more rights than it was started with; a privileged one has them all.
            "SecurityOpt": [] if spec.privileged else ["no-new-privileges"],
            "GroupAdd": list(spec.groups),
            "Devices": [
                {"PathOnHost": device.path, "PathInContainer": device.target, "CgroupPermissions": device.permissions}
                for device in spec.devices
            ],
            "DeviceCgroupRules": list(spec.device_cgroup_rules),
            "Mounts": [_mount(mount) for mount in spec.mounts],
            "Ulimits": [{"Name": limit.name, "Soft": limit.soft, "Hard": limit.hard} for limit in spec.limits],
            "Memory": spec.memory,
            "NanoCpus": round(spec.cpus * _NANOSECONDS),
            # What exits is started again, also after a power cut; what was stopped on purpose stays stopped.
            "RestartPolicy": {"Name": "unless-stopped"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}},
            "Init": True,
        }
    )


def _mount(mount: Mount) -> dict[str, Any]:
    body: dict[str, Any] = {"Type": mount.kind, "Target": mount.target, "ReadOnly": mount.read_only}
    if mount.kind == "tmpfs":
        return {**body, "TmpfsOptions": {"SizeBytes": mount.size}}
    body["Source"] = mount.source
    if mount.options:
        body["VolumeOptions"] = {"DriverConfig": {"Name": "local", "Options": dict(sorted(mount.options.items()))}}
    return body


def _health(health: HealthCheck) -> dict[str, Any]:
    return {
        "Test": ["CMD", *health.command],
        "Interval": round(health.interval * _NANOSECONDS),
        "Timeout": round(health.timeout * _NANOSECONDS),
        "Retries": health.retries,
        "StartPeriod": round(health.start_period * _NANOSECONDS),
        "StartInterval": round(health.start_interval * _NANOSECONDS),
    }


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    """Left out is the engine's default; a field added here later then changes no existing sha256."""
    return {key: value for key, value in values.items() if value not in (None, "", 0, False, [], {})}
