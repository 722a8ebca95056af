"""Specs that were applied and turned out well, newest last, by instance: what a rollback can bring back.

Never a twin: brought back it would stand in for hardware, and nothing would say so.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import TypeAdapter

from bluefleet.engine import ContainerSpec
from bluefleet.fleet._state import State
from bluefleet.fleet._twin import is_twin

# How many of an instance's specs can be brought back, the one that runs included.
KEPT = 3

_SPEC = TypeAdapter(ContainerSpec)


@dataclass(frozen=True, slots=True)
class Applied:
    """One spec that an instance was well with. `withdrawn`: somebody rolled back from it."""

    id: int
    instance: str
    sha256: str
    spec: ContainerSpec
    withdrawn: bool
    who: str = ""
    applied: datetime | None = None

    @property
    def standing(self) -> bool:
        """Whether a rollback may bring it back."""
        return not self.withdrawn and not is_twin(self.spec.labels)


def note(state: State, node: str, instance: str, spec: ContainerSpec, *, who: str, verb: str) -> None:
    """Note that the instance is well with this spec, if that is news and it is no twin. Raises StateUnusable."""
    if is_twin(spec.labels):
        return
    with state.writing() as connection:
        newest = connection.execute(
            "SELECT sha256 FROM applied WHERE node = ? AND instance = ? AND NOT withdrawn ORDER BY id DESC LIMIT 1",
            (node, instance),
        ).fetchone()
        if newest is None or newest["sha256"] != spec.sha256:
            connection.execute(
                "INSERT INTO applied (node, instance, sha256, spec, applied, who, verb, withdrawn) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
                (
                    node,
                    instance,
                    spec.sha256,
                    _SPEC.dump_json(spec).decode(),
                    datetime.now(UTC).isoformat(),
                    who,
                    verb,
                ),
            )


def previous(state: State, node: str, instance: str, desired: str) -> Applied | None:
    """The newest one that is not what is desired now (its sha256); none when there is none. Raises StateUnusable."""
    standing = [one for one in on_node(state, node) if one.instance == instance and one.standing]
    if standing and standing[-1].sha256 == desired:
        standing.pop()
    return standing[-1] if standing else None


def withdraw_since(connection: sqlite3.Connection, node: str, applied: Applied) -> None:
    """Whatever came after it will not be brought back, once the transaction is kept."""
    connection.execute(
        "UPDATE applied SET withdrawn = 1 WHERE node = ? AND instance = ? AND id > ?",
        (node, applied.instance, applied.id),
    )


def on_node(state: State, node: str) -> list[Applied]:
    """All of a node, oldest first. Raises StateUnusable."""
    with state.reading() as connection:
        if connection is None:
            return []
        rows = connection.execute("SELECT * FROM applied WHERE node = ? ORDER BY id", (node,)).fetchall()
    return [
        Applied(
            row["id"],
            row["instance"],
            row["sha256"],
            _SPEC.validate_json(row["spec"]),
            bool(row["withdrawn"]),
            row["who"],
            datetime.fromisoformat(row["applied"]),
        )
        for row in rows
    ]


def specs(
    connection: sqlite3.Connection, wanted: Iterable[tuple[str, str, str]]
) -> Mapping[tuple[str, str, str], ContainerSpec]:
    """Those of these (node, instance, sha256) that are noted."""
    found: dict[tuple[str, str, str], ContainerSpec] = {}
    for key in wanted:
        row = connection.execute(
            "SELECT spec FROM applied WHERE node = ? AND instance = ? AND sha256 = ? LIMIT 1", key
        ).fetchone()
        if row is not None:
            spec = _SPEC.validate_json(row["spec"])
            found |= {} if is_twin(spec.labels) else {key: spec}
    return found


def surplus(noted: Sequence[Applied]) -> list[Applied]:
    """Those of a node that no rollback will ask for: withdrawn ones, twins, and older ones than each instance's newest."""
    standing: dict[str, list[Applied]] = {}
    for one in noted:
        if one.standing:
            standing.setdefault(one.instance, []).append(one)
    kept = {one.id for ones in standing.values() for one in ones[-KEPT:]}
    return [one for one in noted if one.id not in kept]


def forget(state: State, surplus_: Sequence[Applied]) -> None:
    """Take them away. Raises StateUnusable."""
    if not surplus_:
        return
    with state.writing() as connection:
        connection.executemany("DELETE FROM applied WHERE id = ?", [(one.id,) for one in surplus_])
