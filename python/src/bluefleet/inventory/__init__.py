"""The inventory on the control machine: what people wrote, where they wrote it, and what is wrong with it."""

from bluefleet.inventory._addresses import Edge, SiteAddresses, Tiled, site_addresses
from bluefleet.inventory._finding import Finding
from bluefleet.inventory._rendering import AnsibleMissing, Connection, Rendered, RenderingFailed, render
from bluefleet.inventory._source import Entry, Group, Inventory
from bluefleet.inventory._validation import everything_wrong, validate_inventory, validate_site_file
from bluefleet.inventory._yaml import is_template, line_at

__all__ = [
    "AnsibleMissing",
    "Connection",
    "Edge",
    "Entry",
    "Finding",
    "Group",
    "Inventory",
    "Rendered",
    "RenderingFailed",
    "SiteAddresses",
    "Tiled",
    "everything_wrong",
    "is_template",
    "line_at",
    "render",
    "site_addresses",
    "validate_inventory",
    "validate_site_file",
]
