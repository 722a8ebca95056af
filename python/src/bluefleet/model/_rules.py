"""What must hold between the parts of a site that each look right alone."""

from collections.abc import Hashable, Iterator
from difflib import get_close_matches

from bluefleet.model._instance import Instance
from bluefleet.model._problems import Location, Problem, dotted
from bluefleet.model._site import Site

REPEATER_PORT = 5065
TWIN_REMEDY = "Declare one, simulated: {image: …, command: […]}, or simulated: {} for what drives no hardware"


def site_problems(site: Site) -> list[Problem]:
    """List everything in a well-shaped site that contradicts something else in it."""
    return [
        *_unknown_images(site),
        *_repeated_devices(site),
        *_repeated_instances(site),
        *_repeated_prefixes(site),
        *_instance_port_clashes(site),
        *_repeated_addresses(site),
        *_misplaced_nodes(site),
        *_simulated_without_a_twin(site),
    ]


def did_you_mean(wrong: str, known: list[str]) -> str:
    """Say which known name is nearest, or list them all."""
    near = get_close_matches(wrong, known, n=1, cutoff=0.6)
    if near:
        return f"Did you mean '{near[0]}'?"
    return "Known: " + (", ".join(sorted(known)) or "none")


class _Seen:
    """Remembers where a thing was first, and reports it when it comes again."""

    def __init__(self) -> None:
        self._first: dict[Hashable, Location] = {}

    def again(self, key: Hashable, location: Location) -> str | None:
        first = self._first.setdefault(key, location)
        return None if first == location else dotted(first)


def _unknown_images(site: Site) -> Iterator[Problem]:
    for n, node in enumerate(site.nodes):
        for i, instance in enumerate(node.instances):
            if instance.image not in site.images:
                yield Problem(
                    ("nodes", n, "instances", i, "image"),
                    instance.image,
                    f"instance '{instance.name}' names the unknown image '{instance.image}'",
                    did_you_mean(instance.image, list(site.images)),
                )
            twin = instance.simulated
            if twin is not None and twin.image is not None and twin.image not in site.images:
                yield Problem(
                    ("nodes", n, "instances", i, "simulated", "image"),
                    twin.image,
                    f"the twin of instance '{instance.name}' names the unknown image '{twin.image}'",
                    did_you_mean(twin.image, list(site.images)),
                )


def twinless(site: Site) -> Iterator[Problem]:
    """Instances that can't be simulated: nothing is wrong with them until somebody wants to."""
    for n, node in enumerate(site.nodes):
        for i, instance in enumerate(node.instances):
            if instance.simulated is None:
                yield Problem(
                    ("nodes", n, "instances", i, "name"),
                    instance.name,
                    f"instance '{instance.name}' has no twin, so it can't be simulated or rehearsed",
                    TWIN_REMEDY,
                )


def _simulated_without_a_twin(site: Site) -> Iterator[Problem]:
    for n, node in enumerate(site.nodes):
        for i, instance in enumerate(node.instances):
            if node.simulates(instance) and instance.simulated is None:
                yield Problem(
                    ("nodes", n, "instances", i, "name"),
                    instance.name,
                    f"instance '{instance.name}' is to be simulated and has no twin",
                    f"{TWIN_REMEDY}; or let it be real: simulate: false",
                )


def _repeated_devices(site: Site) -> Iterator[Problem]:
    seen = _Seen()
    owner: dict[str, str] = {}
    for n, node in enumerate(site.nodes):
        for i, instance in enumerate(node.instances):
            for d, device in enumerate(instance.devices):
                location = ("nodes", n, "instances", i, "devices", d, "name")
                if seen.again(device.name, location):
                    yield Problem(
                        location,
                        device.name,
                        f"device '{device.name}' of instance '{instance.name}' is also one of {owner[device.name]}",
                        "Give one of them another name: plans know devices by name alone",
                    )
                owner.setdefault(device.name, f"instance '{instance.name}' on {node.name}")


def _repeated_instances(site: Site) -> Iterator[Problem]:
    for n, node in enumerate(site.nodes):
        seen = _Seen()
        for i, instance in enumerate(node.instances):
            location = ("nodes", n, "instances", i, "name")
            if seen.again(instance.name, location):
                yield Problem(
                    location,
                    instance.name,
                    f"{node.name} has two instances called '{instance.name}'",
                    "Give one of them another name: their containers would have the same",
                )


def _repeated_prefixes(site: Site) -> Iterator[Problem]:
    """Two IOCs that serve the same PVs answer the same searches; within one IOC only an exact repetition is wrong."""
    owners: dict[str, tuple[int, int]] = {}
    for n, node in enumerate(site.nodes):
        for i, instance in enumerate(node.instances):
            used: list[tuple[Location, str]] = []
            if instance.pv_prefix:
                used.append((("nodes", n, "instances", i, "command"), instance.pv_prefix))
            same = _Seen()
            for d, device in enumerate(instance.devices):
                if device.prefix is None:
                    continue
                location = ("nodes", n, "instances", i, "devices", d, "prefix")
                key = (device.class_path, device.prefix, repr(sorted(device.arguments.items())))
                if same.again(key, location):
                    yield Problem(
                        location,
                        device.prefix,
                        f"device '{device.name}' is another {device.class_path} with prefix '{device.prefix}'",
                        f"Remove one of them, or mend the prefix: instance '{instance.name}' already has such a device",
                    )
                used.append((location, device.prefix))
            for location, prefix in used:
                first = owners.setdefault(prefix, (n, i))
                if first != (n, i):
                    other = site.nodes[first[0]]
                    yield Problem(
                        location,
                        prefix,
                        f"PV prefix '{prefix}' of instance '{instance.name}' is also that of "
                        f"'{other.instances[first[1]].name}' on {other.name}",
                        "Give each instance PV prefixes of its own: two IOCs would answer one search",
                    )


def _instance_port_clashes(site: Site) -> Iterator[Problem]:
    for n, node in enumerate(site.nodes):
        taken = {
            ("tcp", 22): "sshd",
            ("tcp", REPEATER_PORT): "the Channel Access repeater",
            ("udp", REPEATER_PORT): "the Channel Access repeater",
        }
        if node.transport != "ssh":
            taken["tcp", node.port] = "the Docker engine"
        for i, instance in enumerate(node.instances):
            me = f"instance '{instance.name}'"
            for location, protocols, port in _ports_of(instance, ("nodes", n, "instances", i)):
                holders = [taken.setdefault((protocol, port), me) for protocol in protocols]
                others = [holder for holder in holders if holder != me]
                if others:
                    yield Problem(
                        location,
                        port,
                        f"port {port} of instance '{instance.name}' is taken on {node.name} by {others[0]}",
                        "Choose a free one (Channel Access: 5064, 5066, 5068, …; 5065 is the repeater's)",
                    )


def _ports_of(instance: Instance, here: Location) -> Iterator[tuple[Location, tuple[str, ...], int]]:
    if instance.channel_access_port is not None:
        yield (*here, "channel_access_port"), ("tcp", "udp"), instance.channel_access_port
    if instance.actor is not None:
        yield (*here, "actor", "port"), ("tcp",), instance.actor.port
    for position, port in enumerate(instance.ports):
        yield (*here, "ports", position, "port"), (port.protocol,), port.port


def _repeated_addresses(site: Site) -> Iterator[Problem]:
    owner: dict[str, str] = {}
    for name, host in site.hosts.items():
        other = owner.setdefault(host.address, name)
        if other != name:
            yield Problem(
                ("hosts", name, "address"),
                host.address,
                f"{name} has the address {host.address}, which is also that of {other}",
                "Give each host an address of its own",
            )


def _misplaced_nodes(site: Site) -> Iterator[Problem]:
    for n, node in enumerate(site.nodes):
        if node.name not in site.hosts:
            yield Problem(
                ("nodes", n, "name"),
                node.name,
                f"node '{node.name}' is no host of the site",
                did_you_mean(node.name, list(site.hosts)),
            )
