"""The namespace of the queue's worker: what is defined here is what a queued plan can name.

The worker imports this module each time its environment is opened, in a new process.
"""

# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# (ophyd has no types)
from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from bluefleet.acquisition import channel_access
from bluefleet.acquisition.settings import Settings
from bluefleet.site_file import load_site

_settings = Settings.from_environment()
_site = load_site(_settings.fleet_file)
# Before anything imports EPICS: libca reads its address list once.
channel_access.prepare(_site)

from ophyd.sim import (  # noqa: E402  (see above)
    det,
    det1,
    det2,
    det3,
    det4,
    det5,
    jittery_motor1,
    jittery_motor2,
    motor,
    motor1,
    motor2,
    motor3,
    noisy_det,
    pseudo1x3,
    pseudo3x3,
    rand,
)

from bluefleet.acquisition.adaptive.ends import FromRecommender, ToRecommender  # noqa: E402  (see above)
from bluefleet.acquisition.adaptive.plan import adaptive_plan  # noqa: E402  (see above)
from bluefleet.acquisition.engine import SiteRunEngine  # noqa: E402  (see above)
from bluefleet.acquisition.plans import *  # noqa: E402, F403  (the plans are this namespace)
from bluefleet.acquisition.site_plans import load_site_plans  # noqa: E402  (see above)

__all__ = [
    "RE",
    "adaptive_plan",
    "det",
    "det1",
    "det2",
    "det3",
    "det4",
    "det5",
    "from_recommender",
    "jittery_motor1",
    "jittery_motor2",
    "motor",
    "motor1",
    "motor2",
    "motor3",
    "noisy_det",
    "pseudo1x3",
    "pseudo3x3",
    "rand",
    "reload_devices",
    "to_recommender",
]

_logger = logging.getLogger("bluefleet.acquisition")
_engine = SiteRunEngine(_settings)
RE = _engine.RE
# For adaptive_plan in the terminal: steps of 1.5, 17 runs.
to_recommender = ToRecommender()
from_recommender = FromRecommender.of_this_process(_settings)


def reload_devices(namespace: MutableMapping[str, Any] | None = None) -> dict[str, Any]:
    """Load devices that were declared or taken out since. Without a namespace: into that of the queue's worker.

    The fleet asks the queue to execute it (function/execute), and then to list again what there is (environment/update).
    """
    result = _engine.load_devices(_of_the_worker() if namespace is None else namespace)
    _logger.warning("devices: %d joined, %d left", len(result.joined), len(result.left))
    return {"joined": result.joined, "left": result.left, "unreachable": result.unreachable}


def _of_the_worker() -> MutableMapping[str, Any]:
    # It is a copy of this module's. Terminals, which give theirs, have no queue.
    from bluesky_queueserver.manager.profile_tools import global_user_namespace

    return global_user_namespace.user_ns


def _add_site_plans(namespace: MutableMapping[str, Any]) -> None:
    found = load_site_plans(_site.acquisition.plans, dict(namespace))
    for refusal in found.refusals:
        _logger.error("%s", refusal)
    namespace.update(found.plans)


# Before the devices: a device that is named like a plan is the one that is refused.
_add_site_plans(globals())
reload_devices(globals())
