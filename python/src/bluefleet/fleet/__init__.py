"""The fleet: desired (what the site declares) against actual (what its engines run)."""

from bluefleet.fleet import _history as history
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
from bluefleet.fleet._backoff import Backoff, Trouble
from bluefleet.fleet._call import Call
from bluefleet.fleet._devices import devices_report, join, to_join
from bluefleet.fleet._disk import Disk
from bluefleet.fleet._doctor import Check, DoctorReport, doctor, report_of
from bluefleet.fleet._exec import NotRunning, execute
from bluefleet.fleet._history import HistoryEntry, caller
from bluefleet.fleet._images import images_report
from bluefleet.fleet._lock import NodeBusy
from bluefleet.fleet._logs import InstanceLine, Wanted, logs
from bluefleet.fleet._marks import clear, cordon, disable, enable, simulate
from bluefleet.fleet._operate import OperationVerb, operate
from bluefleet.fleet._orphans import orphans, orphans_named
from bluefleet.fleet._overrides import OVERRIDE_KINDS, Override, OverrideKind, Overrides
from bluefleet.fleet._own_loop import in_own_loop
from bluefleet.fleet._plan import Step, drift, plan
from bluefleet.fleet._reboot import is_manager, reboot, reboot_ends_within
from bluefleet.fleet._reconcile import SERVICE, Reconciled, Reconciler
from bluefleet.fleet._render import container_spec, endpoint
from bluefleet.fleet._report import (
    ApplyReport,
    DeviceEntry,
    DevicesReport,
    DevicesResult,
    DevicesStatus,
    DocumentService,
    FailedPlan,
    FleetServiceStatus,
    HistoryReport,
    ImagePlace,
    ImagesReport,
    InstanceStatus,
    NodeImages,
    NodeResult,
    NodeStatus,
    NodeVolumes,
    OperationReport,
    QueueStatus,
    RollingReport,
    StatusReport,
    StepResult,
    VolumePlace,
    VolumesReport,
)
from bluefleet.fleet._selection import Chosen, Selection, SelectionInvalid, categories_of, select
from bluefleet.fleet._settings import Settings
from bluefleet.fleet._soft import SoftFailed, by_ssh
from bluefleet.fleet._state import State, StateUnusable
from bluefleet.fleet._status import Beside, instances_status, look_beside, status, status_of
from bluefleet.fleet._talk import (
    ActorLinks,
    NoActor,
    TalkReport,
    TalkResult,
    Target,
    actor_targets,
    only_asks,
    planned_talk,
    talk,
)
from bluefleet.fleet._update import rollback, update
from bluefleet.fleet._volumes import volumes_report
from bluefleet.fleet._watch import watch

__all__ = [
    "OVERRIDE_KINDS",
    "SERVICE",
    "ActorError",
    "ActorLink",
    "ActorLinks",
    "ActorLost",
    "ActorTimeout",
    "ActorUnreachable",
    "ApplyReport",
    "Backoff",
    "Beside",
    "Call",
    "Check",
    "Chosen",
    "CommandInvalid",
    "DeviceEntry",
    "DevicesReport",
    "DevicesResult",
    "DevicesStatus",
    "Disk",
    "DoctorReport",
    "DocumentService",
    "FailedPlan",
    "FleetServiceStatus",
    "HistoryEntry",
    "HistoryReport",
    "ImagePlace",
    "ImagesReport",
    "InstanceLine",
    "InstanceStatus",
    "NoActor",
    "NodeBusy",
    "NodeImages",
    "NodeResult",
    "NodeStatus",
    "NodeVolumes",
    "NotRunning",
    "OperationReport",
    "OperationVerb",
    "Override",
    "OverrideKind",
    "Overrides",
    "Patience",
    "QueueStatus",
    "Reconciled",
    "Reconciler",
    "Reply",
    "RollingReport",
    "Selection",
    "SelectionInvalid",
    "Settings",
    "SoftFailed",
    "State",
    "StateUnusable",
    "StatusReport",
    "Step",
    "StepResult",
    "TalkReport",
    "TalkResult",
    "Target",
    "Trouble",
    "VolumePlace",
    "VolumesReport",
    "Wanted",
    "actor_targets",
    "apply",
    "by_ssh",
    "caller",
    "categories_of",
    "clear",
    "container_spec",
    "cordon",
    "devices_report",
    "disable",
    "doctor",
    "drift",
    "enable",
    "endpoint",
    "execute",
    "history",
    "images_report",
    "in_own_loop",
    "instances_status",
    "is_manager",
    "join",
    "logs",
    "look_beside",
    "only_asks",
    "operate",
    "orphans",
    "orphans_named",
    "plan",
    "planned_talk",
    "reboot",
    "reboot_ends_within",
    "report_of",
    "rollback",
    "select",
    "simulate",
    "status",
    "status_of",
    "talk",
    "to_join",
    "update",
    "volumes_report",
    "watch",
]
