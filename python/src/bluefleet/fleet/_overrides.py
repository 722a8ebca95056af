"""Overrides: what operators changed for a while, with who, when and why. Desired is declared plus these."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field

from bluefleet.engine import ContainerSpec
from bluefleet.fleet._applied import specs
from bluefleet.fleet._shown import Shown
from bluefleet.fleet._state import State

OverrideKind: TypeAlias = Literal["stopped", "disabled", "cordoned", "pinned", "rolled-back", "simulated"]
# Of a digest that people are shown.
_SHORT = 12
OVERRIDE_KINDS: tuple[OverrideKind, ...] = get_args(OverrideKind)


class Override(BaseModel):
    """One override of a node, or of one instance on it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    node: str
    instance: str = Field(default="", description="Empty when it is the whole node that is overridden")
    kind: OverrideKind
    value: str = Field(
        default="",
        description="Of pinned: the image's reference with its digest; of rolled-back: the sha256 of the spec",
    )
    who: Shown
    reason: Shown = ""
    since: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def place(self) -> str:
        """As it stands in history: the node, or node/instance."""
        return f"{self.node}/{self.instance}" if self.instance else self.node

    @property
    def version(self) -> str:
        """Its kind, and the image that it is pinned to, with its digest as `bluefleet images` has it."""
        if self.kind != "pinned":
            # The sha256 of a spec tells a person nothing.
            return self.kind
        name, _, digest = self.value.rpartition("/")[2].partition("@")
        return f"pinned to {name}@{digest.removeprefix('sha256:')[:_SHORT]}"

    @property
    def words(self) -> str:
        """As a person is told."""
        why = f": {self.reason}" if self.reason else ""
        return f"{self.version} by {self.who} since {self.since:%Y-%m-%d %H:%M} UTC{why}"


class Overrides:
    """All overrides of a site as they are now, and the specs that what is rolled back has."""

    def __init__(
        self,
        overrides: Iterable[Override] = (),
        rolled_back: Mapping[tuple[str, str, str], ContainerSpec] | None = None,
    ) -> None:
        self.all = tuple(overrides)
        self._rolled_back = dict(rolled_back or {})

    def changed(
        self,
        *,
        put: Sequence[Override] = (),
        taken: Sequence[Override] = (),
        specs: Mapping[tuple[str, str, str], ContainerSpec] | None = None,
    ) -> "Overrides":
        """As they will be."""
        gone = {_key(one) for one in (*put, *taken)}
        kept = [one for one in self.all if _key(one) not in gone]
        return Overrides([*kept, *put], {**self._rolled_back, **(specs or {})})

    def spec(self, override: Override) -> ContainerSpec | None:
        """The spec that the instance is rolled back to; none when nobody noted it."""
        return self._rolled_back.get((override.node, override.instance, override.value))

    @classmethod
    def now(cls, state: State) -> "Overrides":
        """As the state file has them. Raises StateUnusable."""
        with state.reading() as connection:
            if connection is None:
                return cls()
            return cls.within(connection)

    @classmethod
    def within(cls, connection: sqlite3.Connection) -> "Overrides":
        """As they are in a transaction."""
        rows = connection.execute("SELECT * FROM override ORDER BY node, instance, kind").fetchall()
        found = [Override.model_validate(dict(row)) for row in rows]
        back = [(one.node, one.instance, one.value) for one in found if one.kind == "rolled-back"]
        return cls(found, specs(connection, back))

    def of_node(self, node: str) -> list[Override]:
        """Those of the node as a whole."""
        return [one for one in self.all if one.node == node and not one.instance]

    def of(self, node: str, instance: str) -> list[Override]:
        """Those that reach an instance: its own, and its node's."""
        return [one for one in self.all if one.node == node and one.instance in ("", instance)]

    def first(self, node: str, instance: str, *kinds: OverrideKind) -> Override | None:
        """The first of these kinds that reaches the instance, in the order of `kinds`."""
        here = self.of(node, instance)
        return next((one for kind in kinds for one in here if one.kind == kind), None)


def put(state: State, overrides: Sequence[Override]) -> None:
    """Add overrides; one of the same kind at the same place is replaced. Raises StateUnusable."""
    if not overrides:
        return
    with state.writing() as connection:
        put_within(connection, overrides)


def put_within(connection: sqlite3.Connection, overrides: Sequence[Override]) -> None:
    """`put` as a part of a transaction."""
    connection.executemany(
        "INSERT OR REPLACE INTO override VALUES (:node, :instance, :kind, :value, :who, :reason, :since)",
        [one.model_dump(mode="json") for one in overrides],
    )


def remove(state: State, overrides: Sequence[Override]) -> None:
    """Take overrides away; one that is not there (any more) is no error. Raises StateUnusable."""
    if not overrides:
        return
    with state.writing() as connection:
        remove_within(connection, overrides)


def remove_within(connection: sqlite3.Connection, overrides: Sequence[Override]) -> None:
    """`remove` as a part of a transaction."""
    connection.executemany(
        "DELETE FROM override WHERE node = ? AND instance = ? AND kind = ?",
        [(one.node, one.instance, one.kind) for one in overrides],
    )


def _key(one: Override) -> tuple[str, str, str]:
    return one.node, one.instance, one.kind
