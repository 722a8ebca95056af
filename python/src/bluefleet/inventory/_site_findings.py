"""Checks the rendered site file with the manager's own models, and says where each fault was written."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml

from bluefleet.inventory._classes import class_problems, plan_problems
from bluefleet.inventory._finding import Finding
from bluefleet.inventory._source import Inventory
from bluefleet.inventory._specs import Roles
from bluefleet.inventory._values import Values
from bluefleet.inventory._yaml import line_at
from bluefleet.model import Location, Partial, Problem, Site, twinless
from bluefleet.model import dotted as written
from bluefleet.site_file import SiteFileInvalid, load_site

# Which variable of the inventory a key of the site file comes from.
_NODE_VARIABLES = {
    "instances": "node_instances",
    "categories": "node_categories",
    "simulate": "simulate",
    "transport": "docker_engine_transport",
    "address": "ansible_host",
}
_SITE_VARIABLES = {"site": "site_name", "registry": "registry", "acquisition": "acquisition_packages"}
_ACQUISITION_VARIABLES = {"packages": "acquisition_packages", "plans": "acquisition_plans"}

# What answers as Mongo; `mongodb` is an image that is published, in images/versions.yml.
_PROVIDER = "image_mongo_provider"


def site_findings(inventory: Inventory, roles: Roles, site_file: Path, checkout: Path) -> Iterator[Finding]:
    """Check the site file: its shape, then what those of its parts that have one say of each other."""
    problems: list[Problem] = []
    try:
        partial = Partial(load_site(site_file))
    except SiteFileInvalid as error:
        partial, problems = error.partial, error.problems
    if partial is not None:
        problems += partial.as_written(class_problems(partial.site, checkout))
        problems += partial.as_written(plan_problems(partial.site, checkout))
        problems += partial.as_written(_service_port_problems(partial.site, roles))
        problems += partial.as_written(_remote_digest_problems(partial.site, inventory, roles))
    names = _Names(site_file)
    told: set[str] = set()
    found: list[Finding] = []
    for problem in problems:
        finding = _finding(inventory, names, site_file, problem)
        # What is written once may stand in the site file twice, as the address of a host that is a node.
        if str(finding) not in told:
            told.add(str(finding))
            found.append(finding)
            yield finding
    # Where hosts are virtual there is no hardware to do without.
    if partial is not None and not inventory.members("hypervisor"):
        for problem in partial.as_written(twinless(partial.site)):
            finding = replace(_finding(inventory, names, site_file, problem), note=True)
            if not any((finding.file, finding.line) == (each.file, each.line) for each in found):
                yield finding


def _service_port_problems(site: Site, roles: Roles) -> Iterator[Problem]:
    """A node that also holds services must keep their ports free."""
    ports: dict[str, Any] = roles.lists.get("site_ports", {})
    for n, node in enumerate(site.nodes):
        groups = site.hosts[node.name].groups if node.name in site.hosts else []
        taken = {
            service["port"]: name
            for name, service in ports.items()
            # sshd's and the engine's own port are on every node, and the model knows them.
            if name not in ("ssh", "engine", "engine_plain") and set(service["hosts"]) & set(groups)
        }
        for i, instance in enumerate(node.instances):
            here: Location = ("nodes", n, "instances", i)
            wanted: list[tuple[Location, int]] = []
            wanted += [((*here, "ports", p, "port"), port.port) for p, port in enumerate(instance.ports)]
            if instance.channel_access_port is not None:
                wanted.append(((*here, "channel_access_port"), instance.channel_access_port))
            if instance.actor is not None:
                wanted.append(((*here, "actor", "port"), instance.actor.port))
            for location, port in wanted:
                if port in taken:
                    yield Problem(
                        location,
                        port,
                        f"port {port} of instance '{instance.name}' is taken on {node.name} by service '{taken[port]}'",
                        "Choose another port, or run that service on another host",
                    )


def _remote_digest_problems(site: Site, inventory: Inventory, roles: Roles) -> Iterator[Problem]:
    """Without a registry of its own a site can only use images that are published somewhere, by digest."""
    if site.registry is not None:
        return
    provider, _ = Values(inventory, roles).of(next(iter(inventory.members("image_builder")), "localhost"), _PROVIDER)
    mirrored = roles.mirrors if provider == "mongodb" else {}
    published = {key for key, image in site.images.items() if image.digest is not None} | set(mirrored)
    for key, services in _images_of_services(site, roles).items():
        if key not in published:
            yield Problem(
                ("registry",),
                None,
                f"registry is null, and image '{key}', which {', '.join(services)} needs, has no remote digest",
                _publish(key),
            )
    for n, node in enumerate(site.nodes):
        for i, instance in enumerate(node.instances):
            here: Location = ("nodes", n, "instances", i)
            twin = instance.simulated.image if instance.simulated else None
            for location, key in (((*here, "image"), instance.image), ((*here, "simulated", "image"), twin)):
                if key in site.images and key not in published:
                    says = f"registry is null, and image '{key}' has no remote digest"
                    yield Problem(location, key, says, _publish(key))


def _images_of_services(site: Site, roles: Roles) -> dict[str, list[str]]:
    """Image key → the services of the site's pods that run it."""
    found: dict[str, list[str]] = {}
    data = site.pods.data
    for pod, host in (("acquisition", site.pods.acquisition), ("data", data)):
        for key, services in (roles.images_of_pod(pod) if host else {}).items():
            if key == "jupyter" and not (data and data.jupyter):
                continue
            found.setdefault(key, []).extend(f"{pod}/{service}" for service in services)
    return found


def _publish(key: str) -> str:
    return (
        f"Add it to site_published_images ({key}: <registry>/<repository>@sha256:<digest>), or give the site a registry"
    )


class _Names:
    """Names of nodes by their position, also in a site file that the models refuse."""

    def __init__(self, site_file: Path) -> None:
        try:
            content = yaml.safe_load(site_file.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError):
            content = None
        nodes: Any = cast("dict[str, Any]", content).get("nodes") if isinstance(content, dict) else None
        self._nodes = cast("list[Any]", nodes) if isinstance(nodes, list) else []

    def node(self, position: str | int) -> str | None:
        node = self._nodes[position] if isinstance(position, int) and position < len(self._nodes) else None
        return str(cast("dict[str, Any]", node).get("name")) if isinstance(node, dict) else None


def _finding(inventory: Inventory, names: _Names, site_file: Path, problem: Problem) -> Finding:
    host, variable, path = _origin(names, problem.location)
    entry = inventory.entry(host or "localhost", variable) if variable else None
    if entry is not None and variable is not None:
        file, line, variable = entry.file, line_at(entry.node, path) if path else entry.line, written((variable, *path))
    elif host in inventory.hosts:
        file, line = inventory.hosts_file, inventory.hosts[host]
    else:
        file, line, variable = site_file, 1, written(problem.location)
    return Finding(file, line, host, variable, problem.value, problem.says, problem.remedy)


def _origin(names: _Names, location: Location) -> tuple[str | None, str | None, Location]:
    """Find host, variable and the way below its value for a place in the site file."""
    match location:
        case ("nodes", position, str(key), *rest):
            return names.node(position), _NODE_VARIABLES.get(key), tuple(rest)
        case ("hosts", str(name), *_):
            return name, "ansible_host", ()
        case ("images", str(key), *_):
            return None, "site_published_images", (key,)
        case ("acquisition", str(key), *rest) if key in _ACQUISITION_VARIABLES:
            return None, _ACQUISITION_VARIABLES[key], tuple(rest)
        case (str(key), *_):
            return None, _SITE_VARIABLES.get(key), ()
        case _:
            return None, None, ()
