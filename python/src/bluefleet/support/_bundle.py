"""A bundle: one archive with what whoever is asked for help needs to see, and no secret in it."""

import io
import os
import re
import subprocess
import tarfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bluefleet.support._hidden import Hidden

_AT_ONCE = 8
# Of each source, its end.
_MOST = 4 * 2**20
_PIECE = 65536
# Seconds in which a pipe whose program has ended is read to its end.
_LEFT_OPEN = 2.0
# A cut within a longer one drops so much of it.
_LONGEST_LINE = 65536
_END_OF_KEY = re.compile(rb"-----END [A-Z0-9 ]*PRIVATE KEY-----")


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the bundle, and the program whose words it holds; `good` are exit codes that are no trouble.

    What it says beside them, on stderr, is in a file of its own, named with `.stderr`.
    """

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
    troubles = [answer.trouble for answer in asked if answer.trouble]
    parts = {one.name: answer.text for one, answer in zip(sources, asked, strict=True)}
    parts |= {f"{one.name}.stderr": answer.beside for one, answer in zip(sources, asked, strict=True) if answer.beside}
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


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a source said, and what went wrong."""

    text: bytes = b""
    beside: bytes = b""
    trouble: str = ""


def _ask(source: Source) -> _Answer:
    try:
        process = subprocess.Popen(
            source.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        return _Answer(trouble=f"{source.name}: {source.command[0]}: {error.strerror}")
    out, beside = _End(process.stdout), _End(process.stderr)
    try:
        code = process.wait(source.seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return _Answer(out.text(), beside.text(), f"{source.name}: not done within {source.seconds:g} s")
    text, said = out.text(), beside.text()
    if code in source.good:
        return _Answer(text, said)
    words = said.decode(errors="replace").strip()
    last = words.splitlines()[-1] if words else "it said nothing"
    return _Answer(text, said, f"{source.name}: ended with {code}: {last}")


class _End:
    """Reads a pipe in a thread, and holds no more than the end of what came."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self._kept = bytearray()
        self._cut = False
        self._thread = threading.Thread(target=self._read, args=[pipe], daemon=True)
        self._thread.start()

    def _read(self, pipe: Any) -> None:
        with pipe:
            while piece := pipe.read1(_PIECE):
                self._kept += piece
                if len(self._kept) > 2 * _MOST:
                    self._cut = True
                    del self._kept[:-_MOST]

    def text(self) -> bytes:
        """What came; what ended may have left the pipe to somebody who holds it open."""
        self._thread.join(_LEFT_OPEN)
        text = bytes(self._kept)
        return _from_whole(text) if self._cut else text


def _from_whole(text: bytes) -> bytes:
    """The text without what its cut may have left of a secret: half of one is not known to be one."""
    line = text.find(b"\n", 0, _LONGEST_LINE)
    text = text[line + 1 :] if line >= 0 else text[_LONGEST_LINE:]
    key = _END_OF_KEY.search(text)
    return text[key.end() :] if key and b"PRIVATE KEY-----" not in text[: key.start()] else text
