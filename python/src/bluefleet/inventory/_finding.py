"""One thing that is wrong in an inventory, in the words and at the place of the person who wrote it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Finding:
    """What is wrong at one line: `says` tells what, `remedy` what would be right. A `note` is wrong with nothing yet."""

    file: Path
    line: int
    host: str | None = None
    variable: str | None = None
    value: Any = None
    says: str = ""
    remedy: str = ""
    note: bool = False

    @property
    def place(self) -> str:
        """`file:line`, from the working directory when the file lies below it."""
        path = self.file
        if path.is_relative_to(Path.cwd()):
            path = path.relative_to(Path.cwd())
        return f"{path}:{self.line}"

    def __str__(self) -> str:
        what = self.variable or ""
        if what and self.value is not None:
            what += f" = {_short(self.value)}"
        first = ": ".join(filter(None, (self.place, self.host, what)))
        return os.linesep.join((first, f"  {self.says}", f"  {self.remedy}"))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
