"""How people name a run: its uid or the beginning of it, its scan id, or its place from the end."""

import re
from dataclasses import dataclass
from typing import Self

from bluefleet.documents.errors import RunNotFound

#: Shorter than this, a string of digits is a scan id; uids are written in lower case with hyphens.
SCAN_ID_DIGITS = 7
#: A whole uid leaves nothing to find out.
UID_LENGTH = 36


@dataclass(frozen=True)
class RunReference:
    """Exactly one of the three is set."""

    uid: str = ""
    scan_id: int | None = None
    position: int | None = None

    def __str__(self) -> str:
        return self.uid or str(self.position if self.scan_id is None else self.scan_id)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises RunNotFound for what can't name a run."""
        text = text.strip()
        if re.fullmatch(r"-[1-9]\d*", text):
            return cls(position=int(text))
        if text.isdigit() and len(text) <= SCAN_ID_DIGITS:
            return cls(scan_id=int(text))
        if re.fullmatch(r"[\w-]{4,}", text):
            return cls(uid=text)
        raise RunNotFound(f"{text!r} is no uid (at least its first 4 characters), scan id or -1, -2 … from the end")
