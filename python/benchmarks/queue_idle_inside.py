"""Inside a container of a queue: queue `count` plans, let them run, print the seconds from each stop to the next start.

``queue_idle_inside.py PLANS``, for queue_idle.py. The times are those in the documents: from the spool, or as
queue_idle_bare.py wrote them down.
"""

# The queue's client is in its image only.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import json
import sys
import time
from itertools import pairwise
from pathlib import Path

from bluesky_queueserver_api.zmq import REManagerAPI

DEADLINE = 180.0
SPOOL, NOTED = Path("/tmp/spool/worker.sqlite"), Path("/tmp/times.jsonl")  # noqa: S108 - of its container


def main() -> None:
    """Open, queue, run, wait, look."""
    plans = int(sys.argv[1])
    queue = REManagerAPI(zmq_control_addr="tcp://localhost:60615", timeout_recv=10)
    queue.wait_for_idle(timeout=DEADLINE)
    queue.environment_open()
    queue.wait_for_idle(timeout=DEADLINE)
    for _ in range(plans):
        queue.item_add({"item_type": "plan", "name": "count", "args": [["det"]]})
    queue.queue_start()
    queue.wait_for_idle(timeout=DEADLINE)
    ended = [item["result"]["exit_status"] for item in queue.history_get()["items"]]
    if ended != ["completed"] * plans:
        sys.exit(f"{plans} plans were queued, and they ended {ended}")
    queue.environment_close()
    queue.wait_for_idle(timeout=DEADLINE)
    times = (
        spooled() if SPOOL.exists() else [json.loads(line) for line in NOTED.read_text(encoding="ascii").splitlines()]
    )
    names = [name for name, _ in times]
    if names != ["start", "stop"] * plans:
        sys.exit(f"{plans} plans ran, and their documents are {names}")
    idle = [after - before for (name, before), (_, after) in pairwise(times) if name == "stop"]
    sys.stdout.write(json.dumps(idle) + "\n")
    queue.close()


def spooled() -> list[tuple[str, float]]:
    """What this project's publisher spooled."""
    from bluefleet.documents import spool_store
    from bluefleet.documents.codec import decode

    end = time.monotonic() + 10
    while True:
        connection = spool_store.connect(SPOOL)
        try:
            bodies = [each.body for each in spool_store.undelivered(connection, after=0, documents=10**6, size=10**9)]
        finally:
            connection.close()
        found = [(name, document["time"]) for name, document in map(decode, bodies) if name in ("start", "stop")]
        if found[-1][0] == "stop" or time.monotonic() > end:
            return found


if __name__ == "__main__":
    main()
