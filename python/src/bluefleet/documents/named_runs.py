"""Which runs a name may mean: what each place answers, and which is meant when all have answered.

-1 is the run of the site that began last, whoever began it; so no place can tell alone.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from bluefleet.documents.errors import RunNotFound
from bluefleet.documents.run_reference import RunReference


class NamedRun(BaseModel):
    """A run that a name may mean."""

    model_config = ConfigDict(extra="ignore")

    run: str
    #: When it began, by the clock of where it was taken.
    time: float
    scan_id: int | None = None

    @classmethod
    def of_start(cls, start: Mapping[str, Any]) -> Self:
        """From its start document."""
        scan_id = start.get("scan_id")
        return cls(
            run=str(start["uid"]), time=float(start["time"]), scan_id=scan_id if isinstance(scan_id, int) else None
        )


class NamedRuns(BaseModel):
    """What one place knows by a name."""

    model_config = ConfigDict(extra="ignore")

    schema_version: int = 1
    runs: list[NamedRun]
    #: Of a sink: it has every run whose start lies before this offset of the topic.
    end: int | None = None


def meant(reference: RunReference, known: Iterable[NamedRun]) -> str:
    """The uid of the one run that is meant among those that the places know. Raises RunNotFound."""
    matching = {each.run: each for each in known if _matches(reference, each)}
    found = sorted(matching.values(), key=lambda each: (each.time, each.run))
    if reference.position is not None:
        if -reference.position > len(found):
            raise RunNotFound(f"no run {reference}: there are {len(found)}")
        return found[reference.position].run
    if not found:
        raise RunNotFound(f"no run {reference}")
    if reference.scan_id is None and len(found) > 1 and reference.uid not in matching:
        raise RunNotFound(f"several runs begin with {reference}: give more of the uid")
    return reference.uid if reference.uid in matching else found[-1].run


def _matches(reference: RunReference, each: NamedRun) -> bool:
    if reference.scan_id is not None:
        return each.scan_id == reference.scan_id
    return reference.position is not None or each.run.startswith(reference.uid)
