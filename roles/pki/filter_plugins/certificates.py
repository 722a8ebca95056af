"""The certificates a site needs, from its hosts."""

from typing import Any


def site_certificates(hosts: list[str], hostvars: Any, nodes: list[str], days: int) -> list[dict[str, Any]]:
    """A server certificate of the site CA for each host, of the engine CA for each node, the manager's client one and a stranger's."""
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
    # Right in all but its authority: engines must refuse it, which the manager proves with it. It opens nothing anywhere.
    stranger = {**client, "name": "clients/stranger", "authority": "site", "common_name": "stranger to the engines"}
    return [*certificates, *({**each, "usages": ["client"], "days": days} for each in (client, stranger))]


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


def site_certificate_line(line: dict[str, Any]) -> str:
    """One line of the expiry report for people."""
    done = "" if line["action"] == "kept" else f" ({line['action']}: {line['reason']})"
    return f"{line['not_after'][:10]}, in {line['days_left']} days: {line['name']}{done}"


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file."""
        return {"site_certificates": site_certificates, "site_certificate_line": site_certificate_line}
