"""Ports and secrets, from the lists of roles/_site."""

from pathlib import Path

import yaml

SOURCE = "roles/_site/vars/main.yml"
_LISTS = yaml.safe_load((Path(__file__).resolve().parents[2] / SOURCE).read_text(encoding="utf-8"))

# Who may use the hardware ports of instances.
_OF_HARDWARE = "acquisition, desktops, `epics_clients`, `firewall_epics_networks`"


def ports() -> str:
    """What answers from another host, as a page."""
    rows = [
        f"| {one['port']} | {', '.join(one['hosts'])} | {', '.join(one['clients']) or 'none: loopback'} | {one['description']} |"
        for one in _LISTS["site_ports"].values()
    ]
    return "\n".join(
        [
            "# Ports",
            "",
            f"Generated from `{SOURCE}`. What the firewall of a host opens to other hosts; all else is closed.",
            "Names in place of a port or a group are variables: `firewall_…` of",
            "[role firewall](../../roles/firewall/README.md), the others of an instance.",
            "",
            "| port | on hosts of group | from hosts of group | what it is |",
            "| --- | --- | --- | --- |",
            *rows,
            f"| `channel_access_port` | nodes | {_OF_HARDWARE} | Channel Access of an instance, TCP and UDP |",
            f"| `ports` | nodes | {_OF_HARDWARE} | Further ports of an instance |",
            "| `actor.port` | nodes | manager | Actor of an instance |",
            "| `firewall_extra_ports` | those that declare it | `clients` of each, any unless said | Whatever else the site has there |",
            "",
            "Every host answers pings. Where Ansible logs in at another port (`ansible_port`), SSH is open there, too.",
            "`firewall_ssh_networks` keeps SSH to those networks and, on nodes, the manager. What comes in at a card of",
            "`firewall_hardware_interfaces` is let in, whatever it is.",
            "",
        ]
    )


def secrets() -> str:
    """Every secret of a site, as a page."""
    rows = [f"| `{name}` | {one['length']} | {one['description']} |" for name, one in _LISTS["site_secrets"].items()]
    return "\n".join(
        [
            "# Secrets",
            "",
            f"Generated from `{SOURCE}`. Made on the first converge in `inventories/<site>/.state/secrets/`, a file each, "
            "and used ever after.",
            "",
            "| secret | characters | what it is for |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )
