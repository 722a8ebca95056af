"""From a declared instance to the container it should be, and from a node to its engine. Pure functions."""

import hashlib
import json
from collections.abc import Sequence

from bluefleet.engine import (
    LABEL,
    ClientCertificate,
    ContainerSpec,
    Endpoint,
    HealthCheck,
    HostDevice,
    Limit,
    Mount,
    PublishedPort,
    RegistryLogin,
)
from bluefleet.fleet._settings import Settings
from bluefleet.model import Instance, Node, Site, Volume

# The registry's two users are fixed: `push` for the image builder, `pull` for everybody else.
_PULL_USER = "pull"
_SCHEME = {"tls": "https", "plain": "http"}
# Where the kernel puts USB devices as they are plugged in, and the kind of device file that all of them are.
_USB = "/dev/bus/usb"
_USB_KIND = "c 189:*"
_UNIT = {"k": 2**10, "m": 2**20, "g": 2**30}


def container_name(instance: Instance) -> str:
    """The name of its container on its node."""
    return f"bluefleet-{instance.name}"


def selection(site: Site, node: Node) -> dict[str, str]:
    """The labels (without `org.bluefleet.`) of everything that is this site's on that node."""
    return {"site": site.site, "node": node.name}


def container_spec(site: Site, node: Node, instance: Instance) -> ContainerSpec:
    """The container that `instance` should be. Its devices are not in it: they never reach the container."""
    image = site.images[instance.image]
    hardware = [_device(text) for text in instance.hardware_devices]
    labels = {**selection(site, node), "instance": instance.name}
    return ContainerSpec(
        name=container_name(instance),
        reference=image.reference,
        digest=image.digest or "",
        labels={f"{LABEL}.{key}": value for key, value in labels.items()},
        command=tuple(instance.command),
        environment={**_environment(site, node, instance), **instance.environment},
        user=instance.user or "",
        groups=tuple(str(group) for group in instance.groups),
        network=instance.network,
        ports=_ports(instance),
        privileged=instance.privileged,
        capabilities=tuple(instance.capabilities),
        devices=tuple(device for device in hardware if device.path != _USB),
        device_cgroup_rules=tuple(dict.fromkeys([*instance.device_cgroup_rules, *_usb_rules(hardware)])),
        mounts=(*(_mount(volume) for volume in instance.volumes), *_usb_mounts(hardware)),
        limits=tuple(Limit(name, limit.soft, limit.hard) for name, limit in sorted(instance.ulimits.items())),
        memory=_bytes(instance.memory_limit),
        cpus=instance.cpu_limit or 0.0,
        health=_health(instance),
        stop_signal=instance.stop_signal or "",
        stop_grace=instance.stop_grace_seconds,
    )


def endpoint(node: Node, settings: Settings) -> Endpoint:
    """Where the node's engine is."""
    if node.transport == "ssh":
        return Endpoint(node.name, f"ssh://{node.ssh_user}@{node.address}:{node.port}")
    url = f"{_SCHEME[node.transport]}://{node.address}:{node.port}"
    certificate = ClientCertificate.in_folder(settings.engine_certificate) if node.transport == "tls" else None
    return Endpoint(node.name, url, certificate)


def registry_login(site: Site, settings: Settings) -> RegistryLogin | None:
    """Who pulls from the site's registry; none when images come from elsewhere."""
    if site.registry is None:
        return None
    return RegistryLogin(site.registry.address, _PULL_USER, settings.registry_password)


def _environment(site: Site, node: Node, instance: Instance) -> dict[str, str]:
    environment = {"BLUEFLEET_SITE": site.site, "BLUEFLEET_NODE": node.name, "BLUEFLEET_INSTANCE": instance.name}
    if instance.channel_access_port is not None:
        port = str(instance.channel_access_port)
        # Servers read the first (caproto) or the second (EPICS base); no client in an IOC searches by broadcast.
        environment |= {"EPICS_CA_SERVER_PORT": port, "EPICS_CAS_SERVER_PORT": port, "EPICS_CA_AUTO_ADDR_LIST": "NO"}
    if instance.actor is not None:
        environment["BLUEFLEET_ACTOR_PORT"] = str(instance.actor.port)
    return environment


def _ports(instance: Instance) -> tuple[PublishedPort, ...]:
    if instance.network == "host":
        return ()
    published = [PublishedPort(port.port, port.container_port or port.port, port.protocol) for port in instance.ports]
    if instance.channel_access_port is not None:
        published += [
            PublishedPort(instance.channel_access_port, instance.channel_access_port, protocol)
            for protocol in ("tcp", "udp")
        ]
    if instance.actor is not None:
        published.append(PublishedPort(instance.actor.port, instance.actor.port, "tcp"))
    return tuple(published)


def _device(text: str) -> HostDevice:
    """Docker's spelling: path on the node, path inside, permissions; the last two may be left out."""
    path, *rest = text.split(":")
    permissions = rest.pop() if rest and not rest[-1].startswith("/") else "rwm"
    return HostDevice(path, rest[0] if rest else path, permissions)


def _usb_mounts(hardware: Sequence[HostDevice]) -> list[Mount]:
    """The folder itself: of a device, an engine shows what is plugged in when the container starts, and no more."""
    return [Mount("bind", device.path, device.target) for device in hardware if device.path == _USB]


def _usb_rules(hardware: Sequence[HostDevice]) -> list[str]:
    return [f"{_USB_KIND} {device.permissions}" for device in hardware if device.path == _USB]


def _mount(volume: Volume) -> Mount:
    if volume.tmpfs is not None:
        return Mount("tmpfs", "", volume.target, size=_bytes(volume.tmpfs.size))
    if volume.nfs is not None:
        nfs = volume.nfs
        options = {"type": "nfs", "o": f"addr={nfs.server},{nfs.options}", "device": f":{nfs.path}"}
        # An export that moved or is mounted otherwise has another name: two of one name would be one.
        said = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()
        return Mount("volume", volume.source or f"bluefleet-nfs-{said[:12]}", volume.target, volume.read_only, options)
    source = volume.source or ""
    return Mount("bind" if source.startswith("/") else "volume", source, volume.target, volume.read_only)


def _bytes(size: str | None) -> int:
    return int(size[:-1]) * _UNIT[size[-1]] if size else 0


def _health(instance: Instance) -> HealthCheck | None:
    if instance.health is not None:
        return HealthCheck(
            command=tuple(instance.health.command),
            interval=instance.health.interval_seconds,
            timeout=instance.health.timeout_seconds,
            retries=instance.health.retries,
            start_period=instance.health.start_period_seconds,
        )
    if instance.channel_access_port is None:
        return None
    # bash opens the connection itself: 2 ms, where a Python client would take 0.1 CPU seconds each time.
    return HealthCheck(command=("bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{instance.channel_access_port}"))
