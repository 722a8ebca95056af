"""The audit log: who did what to which instances, when, and what came of it."""

import json
import os
import pwd
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from bluefleet.fleet._shown import Shown, shown_all
from bluefleet.fleet._state import State

# Unfinished: it is at work, or ended without a word (killed, or the manager lost power).
Result: TypeAlias = Literal["unfinished", "ok", "failed", "interrupted"]


class HistoryEntry(BaseModel):
    """One call of a verb that changes something, or that enters a container."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: int
    began: datetime
    ended: datetime | None
    who: Shown
    verb: Shown
    targets: list[Shown] = Field(description="node, or node/instance")
    options: Annotated[dict[str, Any], AfterValidator(shown_all)]
    result: Result
    detail: list[Shown] = Field(description="What happened to each target, in words")

    @field_validator("targets", "options", "detail", mode="before")
    @classmethod
    def _json(cls, value: object) -> object:
        return json.loads(value) if isinstance(value, str) else value


def caller() -> str:
    """Who called: sudo, through which people reach the command, says; else the user that runs it."""
    named = os.environ.get("SUDO_USER")
    if named:
        return named
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def begin(state: State, who: str, verb: str, targets: Sequence[str], options: Mapping[str, Any]) -> int:
    """Note that it begins, before anything is changed; returns what `end` asks for. Raises StateUnusable."""
    with state.writing() as connection:
        cursor = connection.execute(
            "INSERT INTO history (began, who, verb, targets, options, result, detail) "
            "VALUES (?, ?, ?, ?, ?, 'unfinished', '[]')",
            (_now(), who, verb, json.dumps(list(targets)), json.dumps(dict(options))),
        )
    return int(cursor.lastrowid or 0)


def end(state: State, entry: int, result: Result, detail: Sequence[str]) -> None:
    """Note what came of it. Raises StateUnusable."""
    with state.writing() as connection:
        connection.execute(
            "UPDATE history SET ended = ?, result = ?, detail = ? WHERE id = ?",
            (_now(), result, json.dumps(list(detail)), entry),
        )


def prune(state: State, before: datetime) -> int:
    """Forget entries that are older, and say how many there were. Raises StateUnusable."""
    with state.writing() as connection:
        return connection.execute("DELETE FROM history WHERE began < ?", (before.astimezone(UTC).isoformat(),)).rowcount


def entries(
    state: State,
    *,
    nodes: Sequence[str] = (),
    targets: Sequence[str] = (),
    who: str = "",
    verb: str = "",
    since: datetime | None = None,
    limit: int = 50,
) -> list[HistoryEntry]:
    """The latest entries first. With `nodes` or `targets` (node/instance) those about any of them. Raises StateUnusable.

    Through which door a person came, as in `ada (over HTTP)`, is no part of the name.
    """
    with state.reading() as connection:
        if connection is None:
            return []
        rows = connection.execute(
            "SELECT * FROM history WHERE (:who = '' OR who = :who OR instr(who, :who || ' (') = 1) AND (:verb = '' OR verb = :verb) "
            "AND (:since = '' OR began >= :since) ORDER BY id DESC",
            {"who": who, "verb": verb, "since": since.astimezone(UTC).isoformat() if since else ""},
        )
        found: list[HistoryEntry] = []
        for row in rows:
            entry = HistoryEntry.model_validate(dict(row))
            if (nodes or targets) and not any(_is_about(target, nodes, targets) for target in entry.targets):
                continue
            found.append(entry)
            if len(found) == limit:
                break
    return found


def after(state: State, latest: int, more: Collection[int] = ()) -> list[HistoryEntry]:
    """The entries that were made after `latest`, and `more`, the earliest first. Raises StateUnusable."""
    with state.reading() as connection:
        if connection is None:
            return []
        rows = connection.execute(
            "SELECT * FROM history WHERE id > ? OR id IN (SELECT value FROM json_each(?)) ORDER BY id",
            (latest, json.dumps(list(more))),
        )
        return [HistoryEntry.model_validate(dict(row)) for row in rows]


def _is_about(target: str, nodes: Sequence[str], targets: Sequence[str]) -> bool:
    node = target.partition("/")[0]
    # What was done to a node was done to each instance on it.
    whole = target == node and any(wanted.partition("/")[0] == node for wanted in targets)
    return node in nodes or target in targets or whole


def _now() -> str:
    return datetime.now(UTC).isoformat()
