"""A bundle: one archive with what whoever is asked for help needs to see, and no secret in it."""

import io
import os
import subprocess
import tarfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bluefleet.support._hidden import Hidden

_AT_ONCE = 8
# Of each source, its end.
_MOST = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the bundle, and the program whose words it holds; `good` are exit codes that are no trouble."""

    name: str
    command: Sequence[str]
    seconds: float
    good: tuple[int, ...] = (0,)


def collect(sources: Sequence[Source], hidden: Hidden, file: Path) -> list[str]:
    """Ask all sources, each within its deadline, and write the bundle; returns what could not be had, in words.

    What failed is in the bundle all the same, with its words. Raises OSError when the file can't be written.
    """
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        asked = list(pool.map(_ask, sources))
    troubles = [trouble for _, trouble in asked if trouble]
    parts = {one.name: text for one, (text, _) in zip(sources, asked, strict=True)}
    parts["troubles.txt"] = "".join(f"{trouble}\n" for trouble in troubles).encode()
    # Nobody else on this machine is to read it.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out, tarfile.open(fileobj=out, mode="w:gz") as bundle:
        top = file.name.partition(".tar")[0]
        for name, text in sorted(parts.items()):
            clean = hidden.take_out(text)[-_MOST:]
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size, member.mode, member.mtime = len(clean), 0o600, int(time.time())
            bundle.addfile(member, io.BytesIO(clean))
    return [hidden.take_out(trouble.encode()).decode() for trouble in troubles]


def _ask(source: Source) -> tuple[bytes, str]:
    """What it says, and what went wrong."""
    try:
        done = subprocess.run(
            source.command, stdin=subprocess.DEVNULL, capture_output=True, timeout=source.seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        return error.stdout or b"", f"{source.name}: not done within {source.seconds:g} s"
    except OSError as error:
        return b"", f"{source.name}: {source.command[0]}: {error.strerror}"
    said = done.stderr.decode(errors="replace").strip()
    text = done.stdout + (b"\n== said beside it\n" + done.stderr if said else b"")
    if done.returncode in source.good:
        return text, ""
    last = said.splitlines()[-1] if said else "it said nothing"
    return text, f"{source.name}: ended with {done.returncode}: {last}"
