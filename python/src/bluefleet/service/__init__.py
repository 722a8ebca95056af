"""The fleet service: looks after all nodes, and tells and does over HTTP what the fleet knows and can."""

from bluefleet.service._api import openapi_text
from bluefleet.service._run import AlreadyRuns, run
from bluefleet.service._settings import ServiceSettings, ServiceSettingsInvalid

__all__ = ["AlreadyRuns", "ServiceSettings", "ServiceSettingsInvalid", "openapi_text", "run"]
