"""What a site is, as pydantic models: the shape of `fleet.yml`, rendered from the inventory.

Nothing here reads a file or talks to a machine; `bluefleet.site_file` reads, `bluefleet.engine` talks.
"""

from bluefleet.model._device import Device
from bluefleet.model._device_database import device_database
from bluefleet.model._instance import Actor, Health, Instance, Nfs, Port, Tmpfs, Twin, Ulimit, Volume
from bluefleet.model._names import DeviceName, HostName, InstanceName, SiteName
from bluefleet.model._node import Host, Node, Transport
from bluefleet.model._partial import Partial, well_shaped
from bluefleet.model._power import ACTION, Power, PowerHttp
from bluefleet.model._problems import Location, Problem, dotted, shape_problems
from bluefleet.model._rules import TWIN_REMEDY, did_you_mean, site_problems, twinless
from bluefleet.model._services import Acquisition, DataPod, Image, Kafka, Pod, Pods, Registry
from bluefleet.model._site import PlacedDevice, Site, schema_text

__all__ = [
    "ACTION",
    "TWIN_REMEDY",
    "Acquisition",
    "Actor",
    "DataPod",
    "Device",
    "DeviceName",
    "Health",
    "Host",
    "HostName",
    "Image",
    "Instance",
    "InstanceName",
    "Kafka",
    "Location",
    "Nfs",
    "Node",
    "Partial",
    "PlacedDevice",
    "Pod",
    "Pods",
    "Port",
    "Power",
    "PowerHttp",
    "Problem",
    "Registry",
    "Site",
    "SiteName",
    "Tmpfs",
    "Transport",
    "Twin",
    "Ulimit",
    "Volume",
    "device_database",
    "did_you_mean",
    "dotted",
    "schema_text",
    "shape_problems",
    "site_problems",
    "twinless",
    "well_shaped",
]
