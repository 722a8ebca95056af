"""The fleet: desired (what the site declares) against actual (what its engines run)."""

from bluefleet.fleet._actor_link import ActorLink, Patience
from bluefleet.fleet._actor_wire import (
    ActorError,
    ActorLost,
    ActorTimeout,
    ActorUnreachable,
    CommandInvalid,
    Reply,
)
from bluefleet.fleet._apply import apply
from bluefleet.fleet._devices import database, devices_report, join
from bluefleet.fleet._plan import Step, drift, plan
from bluefleet.fleet._render import container_spec, endpoint
from bluefleet.fleet._report import (
    ApplyReport,
    DeviceEntry,
    DevicesReport,
    DevicesResult,
    DevicesStatus,
    InstanceStatus,
    NodeResult,
    NodeStatus,
    StatusReport,
    StepResult,
)
from bluefleet.fleet._selection import NodeUnknown, only
from bluefleet.fleet._settings import Settings
from bluefleet.fleet._status import instances_status, status
from bluefleet.fleet._talk import (
    ActorLinks,
    InstanceUnknown,
    NoActor,
    TalkReport,
    TalkResult,
    Target,
    actor_targets,
    talk,
)

__all__ = [
    "ActorError",
    "ActorLink",
    "ActorLinks",
    "ActorLost",
    "ActorTimeout",
    "ActorUnreachable",
    "ApplyReport",
    "CommandInvalid",
    "DeviceEntry",
    "DevicesReport",
    "DevicesResult",
    "DevicesStatus",
    "InstanceStatus",
    "InstanceUnknown",
    "NoActor",
    "NodeResult",
    "NodeStatus",
    "NodeUnknown",
    "Patience",
    "Reply",
    "Settings",
    "StatusReport",
    "Step",
    "StepResult",
    "TalkReport",
    "TalkResult",
    "Target",
    "actor_targets",
    "apply",
    "container_spec",
    "database",
    "devices_report",
    "drift",
    "endpoint",
    "instances_status",
    "join",
    "only",
    "plan",
    "status",
    "talk",
]
