"""What Kafka holds of a run, read from the topic itself."""

from bluefleet.documents import codec
from bluefleet.documents.digest import Digester
from bluefleet.documents.errors import DocumentUnreadable, RunNotFound
from bluefleet.documents.run_digest import RunDigest
from bluefleet.documents.settings import Settings
from bluefleet.documents.topic_run import messages_of


def topic_digest(
    settings: Settings, run: str, *, first: int | None, last: int | None, since: float | None = None
) -> RunDigest:
    """Sum up the run's documents between two offsets, from a time on, or in the whole topic.

    Raises RunNotFound, Unavailable.
    """
    digester = Digester(run)
    count = 0
    for _, body in messages_of(settings, run, first=first, last=last, since=since):
        _add(digester, body)
        count += 1
    if not count:
        raise RunNotFound(f"no run {run} in topic {settings.topic}")
    found = digester.finish()
    if found.start is None:
        raise RunNotFound(f"the beginning of run {run} has left topic {settings.topic}, which is limited in size")
    return found


def _add(digester: Digester, body: bytes) -> None:
    try:
        digester.add(*codec.decode(body))
    except DocumentUnreadable:
        # Somebody else's bytes under our key: the comparison will show what is missing.
        return
