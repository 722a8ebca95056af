"""Logs of containers that were taken away, kept on the manager: <node>/<instance>/<time of its end>.log.gz."""

import gzip
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bluefleet.engine import Container, Engine, EngineError, LogLine

# Of each instance; an engine keeps at most 50 MB of a container's log, a tenth of that when it is compressed.
_KEPT = 5
# How the engine's file says on which stream a line was, and whether its end is on the next one.
_NOTED = re.compile("(stdout|stderr) [FP] ")


async def keep(engine: Engine, container: Container, folder: Path) -> list[str]:
    """Keep what it wrote; returns in words why that was not possible, which is no reason to leave it there."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        await engine.save_logs(container.id, folder / f"{stamp}.log.gz")
        for old in kept(folder)[:-_KEPT]:
            old.unlink(missing_ok=True)
    except (EngineError, OSError) as error:
        reason = error.reason if isinstance(error, EngineError) else error.strerror
        return [f"its log could not be kept: {reason}"]
    return []


def kept(folder: Path) -> list[Path]:
    """The kept logs of an instance, oldest first."""
    return sorted(folder.glob("[0-9]*.log.gz"))


def lines(file: Path) -> Iterator[LogLine]:
    """The lines of a kept log. Those of an earlier version have no stream."""
    with gzip.open(file, "rt", encoding="utf-8", errors="replace", newline="\n") as text:
        for line in text:
            time, _, rest = line.rstrip("\n").partition(" ")
            noted = _NOTED.match(rest)
            yield LogLine(time, noted[1] if noted else "", rest[noted.end() :] if noted else rest)
