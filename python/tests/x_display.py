"""An X server that shows nothing, for tests of what opens windows."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from patience import PATIENCE

NEEDED = ("Xvfb", "xauth", "xwininfo", "xdotool", "import")
MISSING = [name for name in NEEDED if shutil.which(name) is None]


class Display:
    """The server, with a cookie of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.environment = {**os.environ, "XAUTHORITY": str(folder / "cookies"), "TERM": "xterm"}

    def __enter__(self) -> Self:
        read, write = os.pipe()
        (self._folder / "cookies").touch()
        cookie = secrets.token_hex(16)
        self._add("0", cookie)
        self._server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", "1024x768x24", "-nolisten", "tcp",
             "-auth", str(self._folder / "cookies")],
            pass_fds=[write], stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(write)
        with os.fdopen(read) as numbers:
            number = numbers.readline().strip()
        self._add(number, cookie)
        self.environment["DISPLAY"] = f":{number}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.terminate()
        self._server.wait(10)

    def windows(self) -> str:
        return self._of("xwininfo", "-root", "-tree")

    def picture(self, name: str) -> Path:
        """A screenshot."""
        self._of("import", "-window", "root", str(self._folder / name))
        return self._folder / name

    def type_at(self, x: int, y: int, text: str) -> None:
        """Take what stands in the field at that place out, type something else, and press Return."""
        self._of("xdotool", "mousemove", str(x), str(y), "click", "--repeat", "3", "--delay", "50", "1")
        self._of("xdotool", "key", "ctrl+a")
        self._of("xdotool", "type", "--delay", "50", text)
        self._of("xdotool", "key", "Return")

    def _add(self, number: str, cookie: str) -> None:
        subprocess.run(["xauth", "-f", self.environment["XAUTHORITY"], "add", f":{number}", ".", cookie], check=True)

    def _of(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True, timeout=30 * PATIENCE
        )
        return done.stdout


@pytest.fixture
def display(tmp_path: Path) -> Iterator[Display]:
    if MISSING:
        pytest.fail(f"{', '.join(MISSING)} not found: apt-get install xvfb xauth x11-utils xdotool imagemagick")
    with Display(tmp_path) as made:
        yield made
