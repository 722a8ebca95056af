"""The certificates a site needs, from its hosts."""

from typing import Any


def site_certificates(hosts: list[str], hostvars: Any, nodes: list[str], days: int) -> list[dict[str, Any]]:
    """A server certificate of the site CA for each host, of the engine CA for each node, the manager's client one."""
    certificates: list[dict[str, Any]] = []
    for host in hosts:
        variables = hostvars[host]
        names = [
            host,
            variables.get("ansible_host", host),
            *variables.get("pki_extra_names", []),
            "localhost",
            "127.0.0.1",
        ]
        certificates.append(_server(f"hosts/{host}/server", "site", host, names, days))
        if host in nodes and variables.get("docker_engine_transport", "tls") == "tls":
            certificates.append(_server(f"hosts/{host}/engine", "engine", host, names, days))
    client = {
        "name": "clients/manager-engine",
        "authority": "engine",
        "common_name": "manager of the fleet",
        "names": [],
    }
    return [*certificates, {**client, "usages": ["client"], "days": days}]


def _server(name: str, authority: str, host: str, names: list[str], days: int) -> dict[str, Any]:
    unique = list(dict.fromkeys(str(item) for item in names))
    return {
        "name": name,
        "authority": authority,
        "common_name": str(host),
        "names": unique,
        "usages": ["server"],
        "days": days,
    }


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file."""
        return {"site_certificates": site_certificates}
