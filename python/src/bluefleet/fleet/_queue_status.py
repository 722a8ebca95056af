"""What the queue does, and whether it stopped because a plan failed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bluefleet.fleet._queue import Queue, QueueError
from bluefleet.fleet._report import FailedPlan, QueueStatus
from bluefleet.fleet._settings import Settings
from bluefleet.model import Site


def queue_status(site: Site, settings: Settings, *, deadline: float) -> QueueStatus | None:
    """What it does; none where there is no queue, or no answer from it (which `devices_status` tells)."""
    queue = Queue.of(site, settings, answer=deadline)
    if queue is None:
        return None
    try:
        found = queue.standing()
    except QueueError:
        return None
    # It puts a plan that failed back, with its result, and stops.
    failed = next((item for item in found.waiting if item.get("result")), None)
    return QueueStatus(
        state=found.state,
        waiting=len(found.waiting),
        running=found.running,
        failed=_failed(failed) if failed and not found.running else None,
    )


def _failed(item: Mapping[str, Any]) -> FailedPlan:
    result = item["result"]
    return FailedPlan(
        name=str(item["name"]),
        exit_status=str(result["exit_status"]),
        ended=datetime.fromtimestamp(result["time_stop"], UTC),
        runs=[str(uid) for uid in result.get("run_uids") or ()],
        reason=" ".join(str(result.get("msg") or "").split()),
    )
