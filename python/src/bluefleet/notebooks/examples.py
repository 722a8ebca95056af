"""The notebooks that come with the image: put where people's are, and never over what somebody changed."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

# In the folder of notebooks: what each example was when it was put there.
RECORD = ".bluefleet-examples.json"


def put(examples: Iterable[Path], folder: Path) -> list[str]:
    """Copy the examples that are not there yet, and those that changed here and not there; their names.

    One that somebody removed stays away.
    """
    record = folder / RECORD
    known: dict[str, str] = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    written: list[str] = []
    for example in examples:
        content, there = example.read_bytes(), folder / example.name
        before = known.get(example.name)
        untouched = there.exists() and _digest(there.read_bytes()) == before
        if (before is None and not there.exists()) or (untouched and _digest(content) != before):
            there.write_bytes(content)
            known[example.name] = _digest(content)
            written.append(example.name)
    if written:
        record.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")
    return written


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
