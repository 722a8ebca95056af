"""Start-up of a bare queueserver, for queue_idle.py: a RunEngine, one detector, `count`; it writes down when runs begin and end."""

# The queue reads this namespace in its image only.
# pyright: basic

import json
from pathlib import Path

from bluesky import RunEngine
from bluesky.plans import count  # noqa: F401 - a plan of the queue
from ophyd.sim import det  # noqa: F401 - a device of the queue

RE = RunEngine({})


def note(name, document):
    """A line for each start and stop."""
    if name in ("start", "stop"):
        with Path("/tmp/times.jsonl").open("a", encoding="ascii") as file:  # noqa: S108 - of its container
            file.write(json.dumps([name, document["time"]]) + "\n")


RE.subscribe(note)
