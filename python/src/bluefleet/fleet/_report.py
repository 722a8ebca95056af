"""What status and apply have to say: one object each, the same for people and for programs."""

from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from bluefleet.fleet._disk import Disk
from bluefleet.fleet._history import HistoryEntry
from bluefleet.fleet._overrides import Override
from bluefleet.fleet._plan import Drift, StepKind

SCHEMA_VERSION = 1

DevicesState: TypeAlias = Literal["loaded", "pending", "closed", "unknown", "none"]
# held: an override keeps it as it is, and that is as it should be.
Outcome: TypeAlias = Literal["planned", "done", "failed", "refused", "held"]


class _Report(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InstanceStatus(_Report):
    """One instance as its engine sees it."""

    name: str
    state: str = Field(description="The engine's word for it (running, exited, restarting …), or missing")
    health: str = Field(description="healthy, unhealthy, starting, or empty when nothing checks it")
    uptime_seconds: float | None = Field(description="Since its last start; none when it does not run")
    restarts: int = Field(description="How often its engine started it again")
    exit_code: int | None = Field(description="Of its last end; none when it runs")
    digest: str = Field(description="Digest of the image it was created from")
    container: str = Field(default="", description="Id of its container; empty when there is none")
    drift: list[Drift] = Field(description="In what it differs from what is declared")
    reason: str = Field(description="What is wrong, in words; empty when all is well")
    overrides: list[Override] = Field(
        default_factory=list[Override], description="Its own and its node's: what operators changed for a while"
    )
    simulated: str = Field(
        default="", description="Why its twin stands in for it; empty when it is itself that should run"
    )
    tries: int = Field(default=0, description="How often the fleet service tried to mend it since it was well for long")
    gave_up: datetime | None = Field(default=None, description="Since when the fleet service tries no more")
    devices: int = Field(default=0, description="How many devices it serves")
    devices_silent: list[str] = Field(default_factory=list, description="Those that do not answer the queue's worker")

    @property
    def ok(self) -> bool:
        """Whether it runs, healthy or about to be, as desired; the troubles of what is disabled don't count."""
        return not self.reason or any(one.kind == "disabled" for one in self.overrides)


class NodeStatus(_Report):
    """One node and its instances."""

    name: str
    address: str
    transport: str
    reachable: bool
    engine_version: str
    reason: str
    remedy: str
    instances: list[InstanceStatus]
    clock_skew_seconds: float | None = Field(
        default=None, description="By how much its clock is ahead of the manager's at least (less than 0: behind)"
    )
    disk: Disk | None = Field(default=None, description="As it was measured last (`status --disk`)")
    problems: list[str] = Field(default_factory=list, description="What is wrong with a node that answers, in words")
    overrides: list[Override] = Field(default_factory=list[Override], description="Those of the node as a whole")
    busy: str = Field(default="", description="Who works on it now; empty when nobody does")

    @property
    def disabled(self) -> bool:
        """Whether an operator took the whole node out of use."""
        return any(one.kind == "disabled" for one in self.overrides)

    @property
    def ok(self) -> bool:
        """Whether it answers and everything on it is well; the troubles of a disabled node don't count."""
        well = self.reachable and not self.problems and all(instance.ok for instance in self.instances)
        return well or self.disabled


class DevicesStatus(_Report):
    """Whether the queue's worker knows the declared devices."""

    state: DevicesState
    detail: str
    declared: int
    pending: list[str] = Field(description="Devices that the worker does not know yet")
    unreachable: dict[str, str] = Field(
        default_factory=dict, description="Devices that do not answer the worker, each with the reason"
    )

    @property
    def ok(self) -> bool:
        """Whether the queue answers, and every device the worker; pending devices only have to wait."""
        return self.state != "unknown" and not self.unreachable


class DocumentService(_Report):
    """A service of the document path: the forwarder, a sink, or the recommender, which follows the documents, too."""

    name: str
    waiting: int | None = Field(description="Documents that wait to be delivered or stored; none when it does not say")
    reason: str = Field(description="What is wrong, in words; empty when all is well")
    writers: dict[str, bool] = Field(
        default_factory=dict, description="Of the forwarder: who writes documents, and whether that process lives"
    )

    @property
    def ok(self) -> bool:
        """Whether it answers and has no trouble; what waits only has to wait."""
        return not self.reason


class FleetServiceStatus(_Report):
    """The fleet service of the manager, which starts again what ends and answers over HTTP."""

    reason: str = Field(description="Why it is not well, in words; empty when it is")

    @property
    def ok(self) -> bool:
        """Whether it answers and does its round."""
        return not self.reason


class FailedPlan(_Report):
    """A plan that did not come to its end; it waits in the queue again, and runs again when that is started."""

    name: str
    exit_status: str = Field(description="The queue's word for it: failed, aborted, halted")
    ended: datetime
    runs: list[str] = Field(description="Uids of the runs that it had opened")
    reason: str = Field(description="In the words of what went wrong")


class QueueStatus(_Report):
    """The queue of plans. A plan that failed is no trouble of the fleet: the queue waits for a person to decide."""

    state: str = Field(description="The queue's own word for it: idle, executing_queue, paused …")
    waiting: int = Field(description="How many plans wait")
    running: str = Field(description="The plan that runs; empty when none does")
    failed: FailedPlan | None = Field(description="The plan that failed last, as long as the queue stands still for it")
    reason: str = Field(default="", description="What is wrong with the queue itself, in words; empty when it is well")


class StatusReport(_Report):
    """The fleet, worst first, and what depends on it."""

    schema_version: Literal[1] = SCHEMA_VERSION
    site: str
    ok: bool
    nodes: list[NodeStatus]
    devices: DevicesStatus
    documents: list[DocumentService]
    orphans: list[Override] = Field(
        default_factory=list[Override], description="Overrides of what is no longer declared; `clear` takes them away"
    )
    queue: QueueStatus | None = Field(default=None, description="None without an acquisition pod, or an answer of it")
    service: FleetServiceStatus | None = Field(
        default=None, description="None where no fleet service is installed, and where it is itself that answers"
    )

    @property
    def not_well(self) -> list[str]:
        """What is not well, by name, worst first; `ok` is that there is nothing."""
        names: list[str] = []
        for node in self.nodes:
            sick = [f"{node.name}/{instance.name}" for instance in node.instances if not instance.ok]
            if not node.ok:
                names += [node.name] if not node.reachable or node.problems or not sick else sick
        stuck = self.queue is not None and self.queue.reason
        names += ["queue"] if self.devices.state == "unknown" or stuck else []
        names += [f"device {name}" for name in self.devices.unreachable]
        names += [service.name for service in self.documents if not service.ok]
        return names + (["fleet service"] if self.service is not None and not self.service.ok else [])


class StepResult(_Report):
    """What happened, or would happen, to one instance."""

    instance: str
    action: StepKind
    reason: str
    outcome: Outcome
    detail: str = ""


class NodeResult(_Report):
    """What happened on one node. `error` is why nothing could be looked at or done there at all."""

    name: str
    error: str = ""
    remedy: str = ""
    left: str = Field(default="", description="Who took the whole node out of use, when and why; it was not even asked")
    steps: list[StepResult] = Field(default_factory=list[StepResult])
    done: str = Field(default="", description="What was, or on a dry run would be, done to the node as a whole")

    @property
    def ok(self) -> bool:
        """Whether everything that had to be done was done."""
        return not self.error and all(step.outcome in {"planned", "done", "held"} for step in self.steps)

    @property
    def only_refused(self) -> bool:
        """Whether all that is in the way are plans that run."""
        return not self.error and all(step.outcome != "failed" for step in self.steps)


class OperationReport(_Report):
    """What a verb did, or with `dry_run` would do."""

    schema_version: Literal[1] = SCHEMA_VERSION
    site: str
    verb: str
    dry_run: bool
    ok: bool
    changed: bool = Field(description="Whether something was changed, or with `dry_run` would be")
    nodes: list[NodeResult]
    overrides: list[Override] = Field(
        default_factory=list[Override], description="Those that were put or, by enable and clear, taken away"
    )


class RollingReport(OperationReport):
    """What update or rollback did: instance by instance, up to the first that did not get well."""

    reached: list[str] = Field(description="What is as it should be now, each node/instance")
    not_reached: list[str] = Field(description="What was left as it was, because something before it failed")


class DevicesResult(_Report):
    """What happened to the device database, and what the queue's worker knows of it now."""

    changed: bool
    state: DevicesState
    detail: str
    pending: list[str] = Field(default_factory=list[str])


class ApplyReport(_Report):
    """What apply did, or with `check` would do."""

    schema_version: Literal[1] = SCHEMA_VERSION
    site: str
    check: bool
    ok: bool
    changed: bool = Field(
        description="Whether something was changed; with `check`: would be, or differs and is refused now"
    )
    nodes: list[NodeResult]
    devices: DevicesResult


class DeviceEntry(_Report):
    """One declared device, where it is served, and whether the worker knows it."""

    name: str
    device_class: str
    prefix: str
    node: str
    instance: str
    state: DevicesState
    unreachable: str = Field(description="Why it does not answer the worker; empty when it does or nobody knows")
    refused: str = Field(default="", description="Why plans must not use it: what disabled it; empty when they may")


class DevicesReport(_Report):
    """Every declared device."""

    schema_version: Literal[1] = SCHEMA_VERSION
    site: str
    state: DevicesState
    detail: str
    devices: list[DeviceEntry]


class ImagePlace(_Report):
    """One image on one node."""

    image: str = Field(description="Its key in the site; empty when the site declares it no more")
    digest: str
    present: bool = Field(description="Whether the node has it; a registry is needed to run it where it is not")
    bytes: int | None
    wanted_by: list[str] = Field(description="Instances that should run from it")
    used_by: list[str] = Field(description="Instances whose container is made from it")


class NodeImages(_Report):
    """The images of one node."""

    name: str
    error: str = ""
    remedy: str = ""
    images: list[ImagePlace] = Field(default_factory=list[ImagePlace])


class ImagesReport(_Report):
    """Which images are where."""

    schema_version: Literal[1] = SCHEMA_VERSION
    site: str
    ok: bool
    nodes: list[NodeImages]


class VolumePlace(_Report):
    """One volume on one node: a named one of its engine, or a folder of the node."""

    volume: str
    present: bool = Field(description="Whether the engine has it; of a folder: whether something runs that has it")
    device: str = Field(description="What it is made of: a folder, or what a file system is mounted from; may be empty")
    wanted_by: list[str] = Field(description="Instances that see it")


class NodeVolumes(_Report):
    """The volumes of one node."""

    name: str
    error: str = ""
    remedy: str = ""
    volumes: list[VolumePlace] = Field(default_factory=list[VolumePlace])


class VolumesReport(_Report):
    """Which declared volumes are where."""

    schema_version: Literal[1] = SCHEMA_VERSION
    site: str
    ok: bool
    nodes: list[NodeVolumes]


class HistoryReport(_Report):
    """The audit log, latest first."""

    schema_version: Literal[1] = SCHEMA_VERSION
    site: str
    entries: list[HistoryEntry]
