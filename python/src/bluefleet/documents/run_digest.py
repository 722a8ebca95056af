"""What a store holds of a run, small enough to send and compare: counts, sequence numbers and hashes."""

from pydantic import BaseModel, ConfigDict


class StreamDigest(BaseModel):
    """One stream of a run."""

    model_config = ConfigDict(extra="ignore")

    events: int
    #: Ranges such as "1-12,14".
    seq_nums: str
    #: Sequence numbers stored more than once.
    doubled: list[int] = []
    #: Hash over times, values and timestamps of all events in the order of their sequence numbers.
    data: str
    descriptors: list[str]
    #: Data keys whose values lie in files.
    external: list[str] = []
    #: How many points have frames of each, as stream documents count them; without those that a store can't count.
    frames: dict[str, int] = {}


class RunDigest(BaseModel):
    """One run in one store."""

    model_config = ConfigDict(extra="ignore")

    run: str
    scan_id: int | None = None
    #: The desktop on which it was taken, whose spool has it; empty for the queue's runs.
    desktop: str = ""
    start: str | None = None
    stop: str | None = None
    exit_status: str | None = None
    reason: str = ""
    streams: dict[str, StreamDigest] = {}
    #: Hash over resources and datums of both kinds; None where a store keeps their meaning only.
    references: str | None = None
    #: Documents that came more than once and were recognised.
    redelivered: int = 0
