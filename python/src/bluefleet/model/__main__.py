"""Prints the JSON schema of the site file: `python -m bluefleet.model > docs/reference/site.schema.json`."""

import sys

from bluefleet.model import schema_text

sys.stdout.write(schema_text())
