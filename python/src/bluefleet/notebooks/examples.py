"""The notebooks that come with the image: put where people's are, and never over what somebody changed."""

import hashlib
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import cast

# In the folder of notebooks: what each example was when it was put there.
RECORD = ".bluefleet-examples.json"

_log = logging.getLogger(__name__)


def put(examples: Iterable[Path], folder: Path) -> list[str]:
    """Copy the examples that are not there yet, and those that changed here and not there; their names.

    One that somebody removed stays away. What can't be written is logged: Jupyter is there without it.
    """
    record = folder / RECORD
    known = _known(record)
    written: list[str] = []
    for example in examples:
        try:
            if _put(example, folder / example.name, known):
                written.append(example.name)
        except OSError as error:
            _log.warning("example %s is not put into %s: %s", example.name, folder, error)
    if written:
        try:
            _write(record, json.dumps(known, indent=1, sort_keys=True).encode())
        except OSError as error:
            _log.warning("which examples were put into %s is not recorded in %s: %s", folder, RECORD, error)
    return written


def _put(example: Path, there: Path, known: dict[str, str]) -> bool:
    """Copy one and enter it, unless it is somebody's; whether that was done."""
    content, before = example.read_bytes(), known.get(example.name)
    untouched = there.exists() and _digest(there.read_bytes()) == before
    if (before is not None or there.exists()) and not (untouched and _digest(content) != before):
        return False
    _write(there, content)
    known[example.name] = _digest(content)
    return True


def _known(record: Path) -> dict[str, str]:
    """What was put there, by name. A record that can't be read says nothing: what is there counts as somebody's."""
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _log.warning("%s can't be read: %s", record, error)
        return {}
    return cast("dict[str, str]", known) if isinstance(known, dict) else {}


def _write(file: Path, content: bytes) -> None:
    """All of it or nothing: a full disk leaves what was there."""
    beside = file.with_name(f".{file.name}.new")
    beside.write_bytes(content)
    beside.replace(file)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
