"""What the queue does, and whether it stopped because a plan failed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bluefleet.fleet._queue import Queue, QueueError
from bluefleet.fleet._report import DocumentService, FailedPlan, QueueStatus
from bluefleet.fleet._settings import Settings
from bluefleet.model import Site

#: Whose documents the plans of the queue are, and the states in which it says that it has a plan in hand.
WORKER = "worker"
BUSY = {"executing_queue", "paused"}
GONE = (
    "its worker died in a plan, which the queue does not see. Its run is closed, with that reason; nothing runs until "
    "somebody asks for environment/destroy, which puts the plan back, and environment/open"
)


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


def with_worker(queue: QueueStatus | None, documents: Sequence[DocumentService]) -> QueueStatus | None:
    """The same, and whether its worker is gone while it believes that a plan runs: it has no eye on that itself."""
    lives = all(service.writers.get(WORKER, True) for service in documents)
    if queue is None or lives or queue.state not in BUSY:
        return queue
    return queue.model_copy(update={"reason": GONE})


def _failed(item: Mapping[str, Any]) -> FailedPlan:
    result = item["result"]
    return FailedPlan(
        name=str(item["name"]),
        exit_status=str(result["exit_status"]),
        ended=datetime.fromtimestamp(result["time_stop"], UTC),
        runs=[str(uid) for uid in result.get("run_uids") or ()],
        reason=" ".join(str(result.get("msg") or "").split()),
    )
