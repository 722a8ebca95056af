"""What the virtual hosts should be, what they are, and the steps between: decisions only, nothing is touched here."""

import hashlib
import ipaddress
import json
from dataclasses import dataclass, field

LAB_LABEL = "org.bluefleet.lab"
NETWORK_LABEL = "org.bluefleet.network"
SPEC_LABEL = "org.bluefleet.spec"
# systemd needs 2 s to stop, the services of a pod may need half a minute.
STOP_SECONDS = 60


@dataclass(frozen=True)
class Machine:
    """What the control machine is like; it decides how a host container is run."""

    # Names below /sys/fs/cgroup on a machine with the old hierarchies, empty on one with the unified hierarchy.
    cgroup_hierarchies: tuple[str, ...]
    # Some virtual machines withhold CAP_SYS_RESOURCE; asking for it then makes every container fail.
    has_sys_resource: bool


@dataclass(frozen=True)
class Host:
    """One virtual host: its name in the inventory and its address in the laboratory's network."""

    name: str
    address: str
    # Fingerprint of what is copied into it: its host key and who may log in.
    keys: str = ""
    # Where it is not the laboratory's.
    image: str = ""


@dataclass(frozen=True)
class Lab:
    """Names that all hosts of one laboratory share."""

    network: str
    subnet: str
    checkout: str
    image: str
    # What a real site mounts from its storage: each is one folder, the same for all hosts.
    shared: tuple[str, ...] = ("/srv/shared",)
    # Without one, hosts reach each other and the control machine, and nothing beyond.
    uplink: bool = True

    def container(self, host: str) -> str:
        """Name of the container that is a host."""
        return f"{self.network}-{host}"

    @property
    def power_unit(self) -> str:
        """Name of the container that is the power unit: no host can have it."""
        return f"{self.network}_power-unit"

    def volumes(self, host: str) -> dict[str, str]:
        """Volumes of a host, and where it has them; they outlive the container. Those that are shared come last."""
        container = self.container(host)
        own = {
            f"{container}-docker": "/var/lib/docker",
            f"{container}-state": "/var/lib/bluefleet",
            f"{container}-home": "/home",
        }
        return own | {f"{self.network}{_shared_name(path)}": path for path in self.shared}

    def owns(self, checkout: str, network: str, name: str) -> bool:
        """Whether something with these labels and this name is of this laboratory; one checkout may have several."""
        # What was made before the second label was known has only its name.
        ours = network == self.network if network else name.startswith(f"{self.network}-")
        return checkout == self.checkout and ours


def _shared_name(path: str) -> str:
    """End of the volume's name; with a dot, which no host's volume has there."""
    return "-shared" if path == "/srv/shared" else f"-shared.{path.strip('/').replace('/', '-')}"


@dataclass(frozen=True)
class Found:
    """A container as the engine reports it."""

    name: str
    state: str
    checkout: str
    spec: str
    network: str = ""


@dataclass
class Plan:
    """Steps to take, and what stands against taking them."""

    make_network: bool = False
    create: list[Host] = field(default_factory=list)
    replace: list[Host] = field(default_factory=list)
    start: list[Host] = field(default_factory=list)
    surplus: list[str] = field(default_factory=list)

    def changed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.make_network or self.create or self.replace or self.start)

    def lines(self) -> list[str]:
        """The steps in words, for people and for check mode."""
        verbs = (("create", self.create), ("recreate", self.replace), ("start", self.start))
        network = ["create network"] if self.make_network else []
        return network + [f"{verb} {host.name} ({host.address})" for verb, hosts in verbs for host in hosts]


def run_arguments(lab: Lab, host: Host, machine: Machine) -> list[str]:
    """Arguments of `docker create` for one host, without the labels and the image."""
    arguments = [
        "--name", lab.container(host.name), "--hostname", host.name,
        "--network", lab.network, "--ip", host.address, "--network-alias", host.name,
        "--restart", "unless-stopped", "--stop-timeout", str(STOP_SECONDS), "--stop-signal", "SIGRTMIN+3",
        "--cap-add", "ALL",
        "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--security-opt", "systempaths=unconfined",
        "--device-cgroup-rule", "a *:* rwm",
        "--tmpfs", "/run", "--tmpfs", "/run/lock",
        "--env", "container=docker",
    ]  # fmt: skip
    if not machine.has_sys_resource:
        arguments += ["--cap-drop", "SYS_RESOURCE"]
    if machine.cgroup_hierarchies:
        arguments += ["--cgroupns", "host", "--tmpfs", "/sys/fs/cgroup:rw,mode=755"]
        # Each hierarchy by itself: systemd would remount the machine's own parent folder read-only.
        for name in machine.cgroup_hierarchies:
            arguments += ["--volume", f"/sys/fs/cgroup/{name}:/sys/fs/cgroup/{name}:rw"]
        forced = "systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
        arguments += ["--env", f"SYSTEMD_PROC_CMDLINE={forced}"]
    else:
        arguments += ["--cgroupns", "private"]
    for volume, path in lab.volumes(host.name).items():
        arguments += ["--volume", f"{volume}:{path}"]
    return arguments


def image_of(lab: Lab, host: Host) -> str:
    """What a host is made from."""
    return host.image or lab.image


def spec_of(lab: Lab, host: Host, machine: Machine) -> str:
    """Hash of everything that reaches the container: when it differs, the host is made anew."""
    content = json.dumps([run_arguments(lab, host, machine), image_of(lab, host), host.keys])
    return hashlib.sha256(content.encode()).hexdigest()


def plan(lab: Lab, hosts: list[Host], machine: Machine, found: list[Found], network_exists: bool) -> Plan:
    """Compare what should be with what is."""
    existing = {each.name: each for each in found if lab.owns(each.checkout, each.network, each.name)}
    steps = Plan(make_network=not network_exists)
    for host in hosts:
        container = existing.pop(lab.container(host.name), None)
        if container is None:
            steps.create.append(host)
        elif container.spec != spec_of(lab, host, machine):
            steps.replace.append(host)
        elif container.state != "running":
            steps.start.append(host)
    existing.pop(lab.power_unit, None)
    steps.surplus = sorted(existing)
    return steps


def foreign_checkouts(lab: Lab, found: list[Found], network_checkout: str | None) -> list[str]:
    """Checkouts whose laboratory has the names that this one needs; an unlabelled network counts as nobody's ('')."""
    prefix = f"{lab.network}-"
    owners = {container.checkout for container in found if container.name.startswith(prefix)}
    if network_checkout is not None:
        owners.add(network_checkout)
    return sorted(owners - {lab.checkout})


def address_faults(lab: Lab, hosts: list[Host]) -> list[str]:
    """Addresses that the network can't have."""
    subnet = ipaddress.ip_network(lab.subnet)
    gateway = next(subnet.hosts())
    faults = []
    taken: dict[str, str] = {}
    for host in hosts:
        address = ipaddress.ip_address(host.address)
        if address not in subnet:
            faults.append(f"{host.name}: ansible_host {host.address} lies outside virtual_host_subnet {lab.subnet}")
        elif address == gateway:
            faults.append(f"{host.name}: ansible_host {host.address} is the gateway of {lab.subnet}")
        elif host.address in taken:
            faults.append(f"{host.name}: ansible_host {host.address} is {taken[host.address]}'s already")
        taken.setdefault(host.address, host.name)
    return faults


def overlapping_routes(subnet: str, routes: list[dict[str, str]]) -> list[str]:
    """Routes of the machine (`ip -json route`) that share addresses with the subnet."""
    wanted = ipaddress.ip_network(subnet)
    overlapping = []
    for route in routes:
        destination = route.get("dst", "default")
        if destination == "default":
            continue
        try:
            network = ipaddress.ip_network(destination, strict=False)
        except ValueError:  # a route type such as `unreachable`, which has no network of its own
            continue
        if network.version == wanted.version and network.prefixlen and network.overlaps(wanted):
            overlapping.append(f"{destination} on {route.get('dev', 'unknown device')}")
    return overlapping
