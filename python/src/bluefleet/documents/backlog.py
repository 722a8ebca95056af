"""What waits where on the document path: in each spool for Kafka, in Kafka for each who follows it.

Needs nothing but the standard library and pydantic: it runs on the manager.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from bluefleet.documents.ask import Asker, Place
from bluefleet.documents.desktop_status import DesktopStatus, desktops_of, terminals_of
from bluefleet.documents.errors import DocumentError

KAFKA = "kafka"


class Waiting(BaseModel):
    """One arrow of the path. A spool is named by its writer, those of a desktop by the desktop; others by the service."""

    source: str
    target: str
    #: None when nobody can say.
    documents: int | None
    #: Seconds that the oldest of them has waited.
    oldest_age: float = 0.0
    #: What is wrong, in words; empty when what waits only has to wait.
    reason: str = ""


class Backlog(BaseModel):
    """All arrows, in the order in which documents take them."""

    schema_version: int = 1
    ok: bool
    waiting: list[Waiting]
    #: How many documents wait among the dead letters; None when nobody can say.
    dead_letters: int | None


def ask_backlog(
    asker: Asker,
    forwarder: Place | None,
    followers: Sequence[Place],
    *,
    deadline: float,
    desktops: Sequence[str] = (),
) -> Backlog:
    """Ask the services; one that does not answer is a row with the reason. How its `desktops` are, the forwarder knows."""
    rows: list[Waiting] = []
    end = dead = None
    if forwarder is not None:
        said = _ask(asker, forwarder, deadline)
        if isinstance(said, str):
            rows.append(Waiting(source="spool", target=KAFKA, documents=None, reason=said))
        else:
            end, dead = said.get("delivered_end"), said.get("dead_letters")
            rows += _of_writers(said)
            rows += [_of_desktop(name, status) for name, status in desktops_of(said, desktops).items()]
    for follower in followers:
        said = _ask(asker, follower, deadline)
        if isinstance(said, str):
            rows.append(Waiting(source=KAFKA, target=follower.name, documents=None, reason=said))
        else:
            rows.append(_of_follower(follower.name, said, end))
    ok = all(not row.reason and row.documents is not None for row in rows)
    return Backlog(ok=ok, waiting=rows, dead_letters=dead)


def _ask(asker: Asker, place: Place, deadline: float) -> dict[str, Any] | str:
    try:
        return asker.get(place, "status", deadline=deadline)
    except DocumentError as error:
        return f"{place.name} does not answer: {error}"


def _of_writers(said: Mapping[str, Any]) -> list[Waiting]:
    writers: dict[str, Any] = said["writers"]
    own = {name: [text for text in said["problems"] if text.startswith(f"{name}: ")] for name in writers}
    common = [text for text in said["problems"] if not any(text in texts for texts in own.values())]
    if not writers:
        return [Waiting(source="spool", target=KAFKA, documents=0, reason="; ".join(common))]
    return [
        Waiting(
            source=name,
            target=KAFKA,
            documents=writer["backlog"],
            oldest_age=writer.get("oldest_age", 0.0),
            reason="; ".join([*(text.removeprefix(f"{name}: ") for text in own[name]), *common]),
        )
        for name, writer in writers.items()
    ]


def _of_desktop(name: str, status: DesktopStatus) -> Waiting:
    return Waiting(
        source=terminals_of(name),
        target=KAFKA,
        documents=status.known_waiting,
        oldest_age=status.oldest_age,
        reason=status.reason,
    )


def _of_follower(name: str, said: Mapping[str, Any], end: int | None) -> Waiting:
    # A sink that hangs at its database, or is cut off, does not know of what came since: the forwarder does.
    waiting = max(said["lag"], (end or 0) - said["position"], 0)
    return Waiting(
        source=KAFKA,
        target=name,
        documents=waiting,
        oldest_age=said.get("oldest_age", 0.0) if waiting else 0.0,
        reason="; ".join(said["problems"]),
    )
