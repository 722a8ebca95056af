"""What may be asked of the service over HTTP, and what it answers."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from bluefleet.fleet import OVERRIDE_KINDS, Override, OverrideKind, StatusReport

Who = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[\w.@+-]{1,64}$")]


def _printable(text: str) -> str:
    # It is shown in other people's terminals.
    if not text.isprintable():
        raise ValueError("it holds what can't be printed, such as the end of a line")
    return text


class Asked(BaseModel):
    """What every verb takes: as on the command line, nothing is done to everything unless that is said."""

    model_config = ConfigDict(extra="forbid")

    who: Who = Field(description="Who asks, for history and status. Nobody but the caller vouches for it")
    reason: Annotated[str, AfterValidator(_printable)] = Field(
        default="", max_length=500, description="Why; status and history tell it"
    )
    targets: list[str] = Field(default=[], description="NODE, NODE/INSTANCE, or INSTANCE wherever it is")
    categories: list[str] = Field(default=[], description="Only what is of one of these categories")
    all: bool = Field(default=False, description="Everything, where no target is named")
    dry_run: bool = Field(default=False, description="Change nothing; answer what would be done")
    wait: float = Field(default=10.0, ge=0, le=600, description="Seconds to wait for another operator on the same node")
    deadline: float = Field(
        default=600.0, gt=0, le=3600, description="Seconds after which the work on a node has failed"
    )


class AskedStart(Asked):
    """Start."""


class AskedOperation(Asked):
    """Stop, restart or kill."""

    interrupt_runs: bool = Field(default=False, description="Also what takes an instance away from a plan that runs")


class AskedDisable(Asked):
    """Disable."""

    reason: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), AfterValidator(_printable)
    ] = Field(description="Why; status, history and refused plans tell it")


class AskedClear(Asked):
    """Clear."""

    kinds: list[OverrideKind] = Field(default=list(OVERRIDE_KINDS), description="Only overrides of these kinds")


class AskedApply(AskedOperation):
    """Apply: without targets to everything, as on the command line."""

    force: bool = Field(default=False, description="Make containers anew also where nothing differs")
    deadline: float = Field(default=1800.0, gt=0, le=3600, description="Seconds for each node")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1


class FleetStatus(StatusReport):
    """`bluefleet status --json`, as the service saw it last, and how the service itself is."""

    waiting: dict[str, str] = Field(description="Why instances that are not well are left alone for now")
    problems: list[str] = Field(description="What keeps the service from its work, in words")
    last_event: str = Field(description="Last-Event-ID for /events: what happens after this answer")


class OverridesReport(_Answer):
    """Every override that holds now."""

    site: str
    overrides: list[Override]


class Health(_Answer):
    """Whether the service does its round."""

    ok: bool


class Wrong(BaseModel):
    """Three things that a person needs to know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: str = Field(description="What is wrong")
    where: str = Field(description="Which part of the request, or what on the manager")
    remedy: str = Field(description="What to do")


class Refusal(_Answer):
    """Why nothing was done."""

    error: Wrong
