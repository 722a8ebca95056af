"""A site with one real IOC on this machine's loopback."""

from tests.devices.conftest import iocs

__all__ = ["iocs"]
