"""When the fleet service tries again to mend an instance, and when it gives up. Pure functions of what is remembered."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Verdict: TypeAlias = Literal["try", "wait", "give up", "given up"]


class Trouble(BaseModel):
    """What is remembered of an instance that is, or was lately, not well."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    node: str
    instance: str
    spec: str = Field(
        description="sha256 of what it should be, empty if it should not be there: another one begins anew"
    )
    reason: str = Field(description="What was wrong with it last, in words")
    tries: int = Field(default=0, description="How often it was tried to mend it")
    tried: datetime | None = Field(default=None, description="When last")
    gave_up: datetime | None = Field(default=None, description="Since when nothing is tried any more")
    well_since: datetime | None = None

    @property
    def words(self) -> str:
        """As a person is told once it was given up."""
        again = (
            f"`bluefleet start {self.node}/{self.instance}` lets it try again"
            if self.spec
            else f"`bluefleet status {self.node}` says what takes it away"
        )
        return f"{self.fact}; {again}"

    @property
    def fact(self) -> str:
        """That it was given up, without what to do."""
        since = f" since {self.gave_up:%Y-%m-%d %H:%M} UTC" if self.gave_up else ""
        return f"the fleet service gave up{since}, after {self.tries} tries"


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses in seconds: `first` after the first try, then twice as long each time, up to `most`.

    What is well for `steady` seconds is forgotten; until then its next trouble is the same trouble.
    """

    first: float = 10.0
    most: float = 300.0
    tries: int = 5
    steady: float = 600.0

    def due(self, trouble: Trouble) -> datetime | None:
        """When something is to be done about it next; None at once."""
        if trouble.tried is None:
            return None
        # Not 2**tries: who never gives up gets far.
        doublings = min(trouble.tries - 1, 30)
        return trouble.tried + timedelta(seconds=min(self.first * 2**doublings, self.most))

    def verdict(self, trouble: Trouble, now: datetime) -> Verdict:
        """What to do now about an instance that is not well. The last try has its pause, too, before it was in vain."""
        if trouble.gave_up is not None:
            return "given up"
        due = self.due(trouble)
        if due is not None and now < due:
            return "wait"
        return "give up" if trouble.tries >= self.tries else "try"

    def sick(self, trouble: Trouble, reason: str) -> Trouble:
        """It is not well (again)."""
        return trouble.model_copy(update={"reason": reason, "well_since": None})

    def well(self, trouble: Trouble, now: datetime) -> Trouble | None:
        """It is well now; None when it has been for so long that its trouble is over."""
        if trouble.well_since is None:
            return trouble.model_copy(update={"well_since": now})
        return None if now - trouble.well_since >= timedelta(seconds=self.steady) else trouble
