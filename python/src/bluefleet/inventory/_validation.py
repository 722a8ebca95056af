"""All checks of an inventory, in the order in which a person would want to hear of them."""

from pathlib import Path

from bluefleet.inventory._finding import Finding
from bluefleet.inventory._groups import group_findings
from bluefleet.inventory._host_rules import (
    file_findings,
    login_findings,
    package_findings,
    secret_findings,
    subid_findings,
    transport_findings,
)
from bluefleet.inventory._public_keys import public_key_findings
from bluefleet.inventory._rendering import RenderingFailed, render
from bluefleet.inventory._site_findings import site_findings
from bluefleet.inventory._source import Inventory
from bluefleet.inventory._specs import Roles
from bluefleet.inventory._values import Values
from bluefleet.inventory._variables import variable_findings


def validate_inventory(folder: Path, checkout: Path) -> list[Finding]:
    """Check what can be known from the files alone: nothing is templated, nobody is asked."""
    inventory = Inventory(folder)
    if not inventory.hosts:
        return inventory.findings or [
            Finding(inventory.hosts_file, 1, says="there are no hosts", remedy="Copy inventories/example and mend it")
        ]
    roles = Roles(checkout / "roles")
    values = Values(inventory, roles)
    return [
        *inventory.findings,
        *group_findings(inventory),
        *variable_findings(inventory, roles),
        *transport_findings(inventory, values),
        *subid_findings(inventory, values),
        *public_key_findings(inventory, values),
        *package_findings(inventory, values),
        *login_findings(inventory, values),
        *file_findings(values),
        *secret_findings(
            roles,
            values.path("site_secrets_dir", ".state/secrets"),
            values.path("site_state_dir", ".state") / "secrets.made",
        ),
    ]


def everything_wrong(folder: Path, checkout: Path) -> tuple[list[Finding], bool]:
    """Check the files, and what Ansible renders from them; whether it could is the second answer.

    What the files alone explain is told once, in their words. Raises RenderingFailed when they explain nothing.
    """
    findings = validate_inventory(folder, checkout)
    if not Inventory(folder).hosts:
        return findings, False
    try:
        rendered = render(folder, checkout, afresh=True)
    except RenderingFailed:
        if not findings:
            raise
        return findings, False
    told = {(finding.file, finding.line) for finding in findings}
    of_site = validate_site_file(folder, rendered.site_file, checkout)
    return [*findings, *(finding for finding in of_site if (finding.file, finding.line) not in told)], True


def validate_site_file(folder: Path, site_file: Path, checkout: Path) -> list[Finding]:
    """Check the site file that Ansible rendered from the inventory."""
    return list(site_findings(Inventory(folder), Roles(checkout / "roles"), site_file, checkout))
