"""How full the disk of a node's engine is. An engine does not tell; a process inside a running container can.

That costs a process on the node, so it is measured when somebody asks for it, and the last measure is remembered.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from bluefleet.engine import Container, Engine, EngineError
from bluefleet.fleet._state import State

# Free and all blocks, and their size, of the file system that the containers' own layers are on.
_ASK = ("stat", "--file-system", "--format", "%a %b %S", "/")
# Below both of these an engine is about to fail: an image or a container's log is of that size.
_FEW_BYTES = 2 * 10**9
_FEW = 0.05


class Disk(BaseModel):
    """What was measured, and when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    free: int = Field(description="Bytes that are free for containers and images")
    total: int
    seen: datetime

    @property
    def trouble(self) -> str:
        """What is wrong, in words; empty when there is room."""
        if self.free >= _FEW_BYTES or self.free >= _FEW * self.total:
            return ""
        return f"its disk is nearly full: {self.free / 1e9:.1f} of {self.total / 1e9:.0f} GB free"


async def measure(engine: Engine, containers: Iterable[Container], *, within: float) -> Disk | None:
    """Ask inside one running container; None when none runs or its image has no `stat`."""
    for container in containers:
        if not container.running:
            continue
        try:
            ran = await engine.execute(container.id, _ASK, within=within)
            free, total, size = (int(word) for word in ran.stdout.split())
        except (EngineError, ValueError):
            continue
        return Disk(free=free * size, total=total * size, seen=datetime.now(UTC))
    return None


def remember(state: State, disks: dict[str, Disk]) -> None:
    """Keep what was measured, by node. Raises StateUnusable."""
    if not disks:
        return
    with state.writing() as connection:
        connection.executemany(
            "INSERT OR REPLACE INTO disk VALUES (?, ?, ?, ?)",
            [(node, disk.free, disk.total, disk.seen.isoformat()) for node, disk in disks.items()],
        )


def remembered(state: State) -> dict[str, Disk]:
    """The last measure of each node. Raises StateUnusable."""
    with state.reading() as connection:
        rows = connection.execute("SELECT * FROM disk").fetchall() if connection is not None else []
    return {row["node"]: Disk(free=row["free"], total=row["total"], seen=row["seen"]) for row in rows}
