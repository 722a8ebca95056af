"""Prints what can be asked of the service: `python -m bluefleet.service > docs/reference/fleet-api.json`."""

import sys

from bluefleet.service import openapi_text

sys.stdout.write(openapi_text())
