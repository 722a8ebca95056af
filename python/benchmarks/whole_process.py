"""A command as a whole process, several times: how long it took, its processor time, its largest process's memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

# A run that hangs must end.
_DEADLINE_S = 120


@dataclass(frozen=True)
class Runs:
    """Seconds of each run; the most memory that any of them had, in MB; and the median of their processor seconds."""

    seconds: tuple[float, ...]
    memory_mb: float = 0.0
    processor: float = 0.0

    @property
    def median(self) -> float:
        """What a figure is judged by: the machine may be at something else for a moment."""
        return median(self.seconds)

    def words(self) -> str:
        """As a person reads them."""
        words = " / ".join(f"{each:.2f}" for each in (min(self.seconds), self.median, max(self.seconds))) + " s"
        return f"{words} ({self.processor:.2f} s of a processor)" if self.processor else words


def measured(command: Sequence[str], env: Mapping[str, str], *, times: int, well: Sequence[int] = (0,)) -> Runs:
    """Run it once to warm up, and then so many times. Raises SystemExit when it ends with a code that is not `well`."""
    seconds: list[float] = []
    processor: list[float] = []
    memory = 0
    for _ in range(times + 1):
        with tempfile.TemporaryFile() as said:
            begun = time.monotonic()
            process = subprocess.Popen(
                ["timeout", str(_DEADLINE_S), *command],
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
            # Its own resources; those that this process knows of its children are of all that ever ran.
            _, status, used = os.wait4(process.pid, 0)
            seconds.append(time.monotonic() - begun)
            processor.append(used.ru_utime + used.ru_stime)
            process.returncode = os.waitstatus_to_exitcode(status)
            memory = max(memory, used.ru_maxrss)
            if process.returncode not in well:
                said.seek(0)
                words = said.read().decode(errors="replace")[-3000:]
                raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{words}")
    return Runs(tuple(seconds[1:]), memory * 1024 / 1e6, median(processor[1:]))
