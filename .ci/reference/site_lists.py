"""Ports and secrets, from the lists of roles/_site."""

from pathlib import Path

import yaml

SOURCE = "roles/_site/vars/main.yml"
_LISTS = yaml.safe_load((Path(__file__).resolve().parents[2] / SOURCE).read_text(encoding="utf-8"))


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
            f"Generated from `{SOURCE}`. What answers from another host; nothing else does.",
            "",
            "| port | on hosts of group | from hosts of group | what it is |",
            "| --- | --- | --- | --- |",
            *rows,
            "| `channel_access_port` | nodes | acquisition, desktops, `epics_clients` | Channel Access of an instance, TCP and UDP |",
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
