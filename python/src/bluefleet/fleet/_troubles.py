"""Troubles of instances in the state file: they outlive the fleet service, and every door tells them."""

from collections.abc import Iterable, Sequence

from bluefleet.fleet._backoff import Trouble
from bluefleet.fleet._state import State

_COLUMNS = ("node", "instance", "spec", "reason", "tries", "tried", "gave_up", "well_since")


def troubles(state: State, node: str = "") -> dict[tuple[str, str], Trouble]:
    """All of them (or a node's), by node and instance. Raises StateUnusable."""
    with state.reading() as connection:
        if connection is None:
            return {}
        rows = connection.execute("SELECT * FROM trouble WHERE ? IN ('', node)", (node,)).fetchall()
    found = [Trouble.model_validate(dict(row)) for row in rows]
    return {(one.node, one.instance): one for one in found}


def remember(state: State, changed: Sequence[Trouble]) -> None:
    """Keep what is known of them now. Raises StateUnusable."""
    if not changed:
        return
    named = ", ".join(f":{name}" for name in _COLUMNS)
    with state.writing() as connection:
        connection.executemany(
            f"INSERT OR REPLACE INTO trouble ({', '.join(_COLUMNS)}) VALUES ({named})",  # noqa: S608 (our own names)
            [one.model_dump(mode="json") for one in changed],
        )


def forget(state: State, node: str, instances: Iterable[str]) -> None:
    """They are over, or an operator says so. Raises StateUnusable."""
    there = {instance for at, instance in troubles(state, node) if at == node}
    over = there.intersection(instances)
    if not over:
        return
    with state.writing() as connection:
        connection.executemany(
            "DELETE FROM trouble WHERE node = ? AND instance = ?", [(node, instance) for instance in sorted(over)]
        )
