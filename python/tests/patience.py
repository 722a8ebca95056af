"""How long tests wait before they call something late: longer where a machine is shared, as `make test` says.

A deadline that is itself what a test claims is not stretched: what is to be gone or back by then, on any machine.
"""

import os
import time

#: By how much deadlines of tests are stretched: a test that passes is no slower for it.
PATIENCE = float(os.environ.get("BLUEFLEET_PATIENCE", "1"))


def ends_in(seconds: float) -> float:
    """When, by `time.monotonic()`, something that may take so long on a quiet machine is late."""
    return time.monotonic() + seconds * PATIENCE
