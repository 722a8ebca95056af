"""What is wrong with the description of a scan, all of it at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """One thing to mend: where it stands, and what is wrong and what would be right, in words."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class XafsRefused(ValueError):
    """A scan can't be done as it is described. Nothing was moved and no run was opened."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        lines = [str(each) for each in mistakes]
        super().__init__(lines[0] if len(lines) == 1 else "\n".join([f"{len(lines)} mistakes:", *lines]))
