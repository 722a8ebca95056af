"""What the forwarder of a desktop tells of itself, and what that means to who operates the site.

Needs nothing but the standard library and pydantic: it is read on the manager.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

#: A desktop that tells nothing for so long has fallen silent. Seconds.
SILENT_AFTER = 60.0
LOOK = "there: systemctl status bluefleet-terminal-forwarder"


class Told(BaseModel):
    """How the forwarder of one desktop is, in its own words."""

    model_config = ConfigDict(extra="ignore")

    #: Documents that wait in the spools there for Kafka; None where one can't be read.
    waiting: int | None
    #: Seconds that the oldest of them had waited.
    oldest_age: float = 0.0
    problems: list[str] = []
    #: The forwarder was stopped, as at shutdown, and this was its last word.
    ended: bool = False

    @classmethod
    def of_forwarder(cls, said: Mapping[str, Any], *, ended: bool) -> Self:
        """From a forwarder's status."""
        writers: Mapping[str, Any] = said["writers"]
        counts = [writer["backlog"] for writer in writers.values()]
        return cls(
            waiting=None if None in counts else sum(counts),
            oldest_age=max((writer.get("oldest_age", 0.0) for writer in writers.values()), default=0.0),
            problems=said["problems"],
            ended=ended,
        )


class DesktopStatus(Told):
    """The same as it is heard elsewhere."""

    #: Seconds, of those in which Kafka answered; None when it never told anything.
    silent_for: float | None = 0.0

    @property
    def silent(self) -> bool:
        """Whether nobody knows how it is."""
        return not self.ended and (self.silent_for is None or self.silent_for > SILENT_AFTER)

    @property
    def known_waiting(self) -> int | None:
        """How many documents wait; None when nobody can say."""
        return None if self.silent else self.waiting

    @property
    def reason(self) -> str:
        """What is wrong, in words; empty when what waits only has to wait."""
        if self.ended:
            left = "nobody knows how many" if self.waiting is None else self.waiting
            return "" if self.waiting == 0 else f"it was stopped while {left} documents waited there ({LOOK})"
        if self.silent_for is None:
            return f"its forwarder never told how it is ({LOOK})"
        if self.silent:
            waited = f"{self.waiting} documents waited when it was heard last"
            return f"its forwarder has told nothing for {self.silent_for:.0f} s; {waited} ({LOOK})"
        return "; ".join(self.problems)


def desktops_of(said: Mapping[str, Any], names: Iterable[str]) -> dict[str, DesktopStatus]:
    """The desktops of the site as the pod's forwarder, which `said` that, heard of them; none while it can't hear."""
    heard: Mapping[str, Any] | None = said.get("desktops")
    if heard is None:
        return {}
    never = {"waiting": None, "silent_for": None}
    return {name: DesktopStatus.model_validate(heard.get(name, never)) for name in names}


def terminals_of(desktop: str) -> str:
    """What stands for a desktop in a list of services."""
    return f"terminals of {desktop}"
