"""From the declared services of a pod to a Compose project, each service with the hash of all that reaches it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

LABEL = "org.bluefleet"

# What every service of every pod has. A service's own keys win.
COMMON = {
    "init": True,
    "restart": "unless-stopped",
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
}
# Cheap when all is well (each check costs processor time), quick while a pod starts. Ten seconds' worth of imports were
# seen to take two minutes on a machine busy with other things: slow is not broken, and what crashes is seen at once.
HEALTH = {"interval": "30s", "timeout": "5s", "retries": 3, "start_period": "240s", "start_interval": "500ms"}


def pod_project(services, files, pod, site):
    """The Compose project: `services` with what all have in common, their labels and specs.

    `files` are entries of host_files; those with `service` go into that service's spec, so that a changed file
    restarts who reads it and nobody else.

    A network that services name besides `default` is closed: who is in no other one reaches those who are in it too,
    and neither the rest of the pod, nor the host, nor anything beyond it.
    """
    networks = {"default": network(pod)}
    project = {"name": pod, "networks": networks, "services": {}}
    # Once: values are rendered by being looked at.
    files = _plain(files)
    for name, declared in _plain(services).items():
        service = {**COMMON, **declared}
        service["healthcheck"] = {**HEALTH, **service["healthcheck"]}
        service["labels"] = {f"{LABEL}.site": site, f"{LABEL}.pod": pod, f"{LABEL}.service": name}
        read = [entry for entry in files if entry.get("service") == name and entry.get("when", True)]
        closed = {each: closed_network(f"{pod}-{each}") for each in service.get("networks", {}) if each != "default"}
        networks |= closed
        service["labels"][f"{LABEL}.spec"] = _spec({**service, "pod network": networks["default"], **closed}, read)
        project["services"][name] = service
    return project


def network(name):
    """A network of a pod. Its bridge is named, so that the firewall knows it from any other one of the host."""
    return {"name": f"bf-{name}", "driver_opts": {"com.docker.network.bridge.name": bridge(name)}}


def closed_network(name):
    """A network without a way out: not even the host has an address in it."""
    found = network(name)
    options = {**found["driver_opts"], "com.docker.network.bridge.inhibit_ipv4": "true"}
    return {**found, "internal": True, "driver_opts": options}


def bridge(network):
    """The interface of a pod's network on its host; the kernel's names have at most 15 characters."""
    name = f"bf-{network}"
    return name if len(name) <= 15 else f"bf-{hashlib.sha256(network.encode()).hexdigest()[:12]}"


def folder_of_others(path):
    """A volume to read what somebody else provides: without it the service doesn't start.

    Written as path:path the engine makes what is missing, and after a boot at which the file server was late the service
    goes on with an empty folder of its host.
    """
    return {"type": "bind", "source": path, "target": path, "read_only": True, "bind": {"create_host_path": False}}


def pod_specs(project):
    """The spec of each service of a project."""
    return {name: service["labels"][f"{LABEL}.spec"] for name, service in project["services"].items()}


def pod_files(files):
    """The entries as host_files takes them."""
    return [{key: value for key, value in entry.items() if key != "service"} for entry in files]


def http_health(port, path, below=400):
    """A health check that needs nothing in the image but bash, and a hundredth of what Python or curl cost."""
    return [
        "CMD",
        "/bin/bash",
        "-c",
        f"exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET {path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3; "
        # Compose reads $$ as $.
        # All of the answer is read: who is hung up on while it writes says so in its log.
        f"read -r _ code _ <&3; cat <&3 >/dev/null; [ $$code -lt {below} ]",
    ]


def tcp_health(port):
    """A health check for what speaks no HTTP: something accepts connections."""
    return ["CMD", "/bin/bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"]


def _spec(service, files):
    digest = hashlib.sha256(json.dumps(service, sort_keys=True).encode())
    for entry in sorted(files, key=lambda entry: entry["path"]):
        digest.update(json.dumps([entry["path"], str(entry["mode"])]).encode())
        digest.update(_content(entry))
    return digest.hexdigest()


def _content(entry):
    if "source" not in entry:
        return json.dumps(entry["content"], sort_keys=True).encode()
    source = Path(entry["source"])
    # In check mode on a new site it isn't made yet.
    return source.read_bytes() if source.exists() else b""


def _plain(value):
    """Without the wrappers that Ansible puts around values."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    return value


class FilterModule:
    def filters(self):
        return {
            "pod_project": pod_project,
            "pod_specs": pod_specs,
            "pod_files": pod_files,
            "folder_of_others": folder_of_others,
            "http_health": http_health,
            "tcp_health": tcp_health,
        }
