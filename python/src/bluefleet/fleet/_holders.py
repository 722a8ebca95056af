"""Which nodes have an instance, since when, and which others were declared to have one of that name, too.

Names are unique on a node only: two nodes may each have a `camera` of their own. That one took over from the other is
noted when it happens, while it is known what is declared; from times alone it can't be told afterwards.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from bluefleet.engine import ContainerSpec
from bluefleet.fleet._state import State
from bluefleet.fleet._twin import is_twin
from bluefleet.model import Site


@dataclass(frozen=True, slots=True)
class Holder:
    """A node that has an instance, and was well with it. `beside`: nodes that were declared to have one, too, then."""

    since: datetime
    beside: frozenset[str] = frozenset()


# By node and instance.
Holders = Mapping[tuple[str, str], Holder]


def holders(state: State) -> dict[tuple[str, str], Holder]:
    """All of them. Raises StateUnusable."""
    with state.reading() as connection:
        rows = connection.execute("SELECT * FROM holder").fetchall() if connection is not None else []
    return {
        (row["node"], row["instance"]): Holder(
            datetime.fromisoformat(row["since"]), frozenset(json.loads(row["beside"]))
        )
        for row in rows
    }


def took_over(known: Holders, instance: str, heir: str, node: str) -> bool:
    """Whether `heir` began to have the instance after `node` last did, and `node` was not declared to have it then."""
    now, before = known.get((heir, instance)), known.get((node, instance))
    if now is None or node in now.beside:
        return False
    return before is None or before.since < now.since


def has(known: Holders, node: str, instance: str) -> bool:
    """Whether the node has it, as far as was noted, and no other took it over since."""
    others = [other for other, name in known if name == instance and other != node]
    return (node, instance) in known and not any(took_over(known, instance, other, node) for other in others)


def hold(state: State, site: Site, node: str, instance: str, spec: ContainerSpec) -> None:
    """Note that the node has the instance now, and is well with it, if that is news. Raises StateUnusable.

    Never a twin: what it stands in for may still be where it was.
    """
    if is_twin(spec.labels) or has(holders(state), node, instance):
        return
    beside = [
        other.name
        for other in site.nodes
        if other.name != node and any(one.name == instance for one in other.instances)
    ]
    with state.writing() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO holder (node, instance, since, beside) VALUES (?, ?, ?, ?)",
            (node, instance, datetime.now(UTC).isoformat(), json.dumps(beside)),
        )


def let_go(state: State, node: str, instance: str) -> None:
    """It was taken away from the node: if it comes there again, that is news. Raises StateUnusable."""
    if (node, instance) in holders(state):
        with state.writing() as connection:
            connection.execute("DELETE FROM holder WHERE node = ? AND instance = ?", (node, instance))
