"""What a benchmark measured, beside what it should be, and the page that keeps it."""

from __future__ import annotations

import platform
import re
import statistics
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One row: what was measured, the target and the measured value as a person reads them, and whether it holds."""

    name: str
    target: str
    measured: str
    holds: bool

    def row(self) -> str:
        """The figure as a row of a Markdown table."""
        return f"| {self.name} | {self.target} | {self.measured} | {'yes' if self.holds else '**no**'} |"


def machine() -> str:
    """The machine the figures were taken on: cores, memory in GiB, system, version of the kernel."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(encoding="ascii"))
    gibibytes = int(memory[1]) / 2**20 if memory else 0.0
    release = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    cores = len(
        [
            line
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("processor")
        ]
    )
    # What comes after the version says who built it.
    kernel = re.split(r"[^0-9.]", platform.release())[0]
    return f"{cores} cores, {gibibytes:.0f} GiB, {release}, kernel {kernel}"


def speed_ms() -> float:
    """How fast Python is on one core: the median of five loops of a million additions, in ms.

    A rented machine is within minutes twice as fast or half, and tells it nowhere: figures are compared beside this.
    """
    took: list[float] = []
    for _ in range(5):
        total = 0
        begun = time.perf_counter()
        for number in range(1_000_000):
            total += number
        took.append(time.perf_counter() - begun)
    return statistics.median(took) * 1000


def table(figures: list[Figure], speed: str) -> str:
    """The figures as a Markdown table, under the day, the machine and how fast it was."""
    head = f"Taken on {datetime.now(UTC):%Y-%m-%d} on {machine()}; {speed}.\n\n"
    head += "| figure | target | measured | holds |\n| --- | --- | --- | --- |\n"
    return head + "\n".join(figure.row() for figure in figures) + "\n"


def report(figures: list[Figure], before_ms: float, page: Path | None, place: str = "figures") -> None:
    """Print the table, and put it in its place on ``page`` where there is one. ``before_ms`` is the speed at the start."""
    text = table(figures, f"a million additions in Python took {before_ms:.0f} ms before, {speed_ms():.0f} ms after")
    sys.stdout.write(text)
    if page is not None:
        keep(page, text, place)


def keep(page: Path, new: str, place: str) -> None:
    """Put a table between the marks of that place on ``page``. Raises ValueError where the page lacks them."""
    text = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {place}: begin -->", f"<!-- {place}: end -->"
    if begin not in text or end not in text:
        raise ValueError(f"{page}: no place for the figures; it needs the lines {begin} and {end}")
    before, rest = text.split(begin, 1)
    after = rest.split(end, 1)[1]
    page.write_text(f"{before}{begin}\n{new}{end}{after}", encoding="utf-8")
