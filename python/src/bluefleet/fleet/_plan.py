"""What has to be done on one node to make actual equal desired. A pure function of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import Literal, TypeAlias

from bluefleet.engine import LABEL, SPEC_LABEL, Container, ContainerSpec

StepKind: TypeAlias = Literal["create", "recreate", "start", "remove", "stop", "restart", "kill", "wait"]
Drift: TypeAlias = Literal["spec", "image", "missing", "extra"]

# The engine is at work on such a container; whatever comes of it is seen next time.
_IN_TRANSIT = {"running", "restarting", "removing"}


@dataclass(frozen=True, slots=True)
class Step:
    """One instance and what happens to it, with the reason in words.

    `returned`: it began to run after another node had taken its instance over, so that nobody counts on it.
    """

    kind: StepKind
    instance: str
    reason: str
    spec: ContainerSpec | None = None
    container: Container | None = None
    returned: bool = False

    @property
    def interrupts(self) -> bool:
        """Whether something that runs now stops because of it."""
        return self.container is not None and self.container.running and not self.returned


def instance_of(container: Container) -> str:
    """The instance that a container is, by its label."""
    return container.labels.get(f"{LABEL}.instance", "")


def drift(spec: ContainerSpec, container: Container | None) -> tuple[Drift, ...]:
    """In what an instance's container differs from what it should be."""
    if container is None:
        return ("missing",)
    actual = container.labels.get(SPEC_LABEL)
    if actual == spec.sha256:
        return ()
    if container.digest == spec.digest:
        return ("spec",)
    same_but_image = changed(spec, digest=container.digest).sha256 == actual
    return ("image",) if same_but_image else ("image", "spec")


def plan(
    specs: Sequence[ContainerSpec],
    containers: Sequence[Container],
    *,
    stopped: Mapping[str, str] | None = None,
    force: bool = False,
) -> list[Step]:
    """The steps for one node: `specs` is what should be there, `containers` all that is this site's there.

    `stopped` are instances that should not run, each with the reason; what is there of them stays there. With `force`
    also what is as it should be is made anew.
    Steps that remove come first: what they held (ports, devices) may be wanted by the others.
    """
    by_name = {spec.name: spec for spec in specs}
    actual = {container.name: container for container in containers if container.name in by_name}
    extra = [
        Step("remove", instance_of(container) or container.name, "it is not declared", container=container)
        for container in containers
        if container.name not in by_name
    ]
    why = stopped or {}
    wanted = [
        _stop(instance_of_spec(spec), why[instance_of_spec(spec)], actual.get(spec.name))
        if instance_of_spec(spec) in why
        else _step(spec, actual.get(spec.name), force=force)
        for spec in specs
    ]
    return extra + [step for step in wanted if step is not None]


def instance_of_spec(spec: ContainerSpec) -> str:
    """The instance that a container made from it will be."""
    return spec.labels[f"{LABEL}.instance"]


def _stop(instance: str, why: str, container: Container | None) -> Step | None:
    if container is None or container.state not in {"running", "restarting", "paused"}:
        return None
    return Step("stop", instance, why, container=container)


def _step(spec: ContainerSpec, container: Container | None, *, force: bool) -> Step | None:
    instance = instance_of_spec(spec)
    if container is None:
        return Step("create", instance, "it is not there", spec=spec)
    differs = drift(spec, container)
    if differs:
        return Step("recreate", instance, f"{' and '.join(differs)} changed", spec=spec, container=container)
    if force:
        return Step("recreate", instance, "it was asked for", spec=spec, container=container)
    if container.state in _IN_TRANSIT:
        return None
    if container.state in {"created", "exited"}:
        return Step("start", instance, f"it is {container.state}", spec=spec, container=container)
    return Step("recreate", instance, f"it is {container.state}", spec=spec, container=container)
