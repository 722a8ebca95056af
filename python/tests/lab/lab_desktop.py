"""A person of the desktop: logs in with a key, types, and leaves nothing behind."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from contextlib import suppress

from lab_door import ADDRESSES, LAB, on

from patience import ends_in

DESKTOP = "data"
PERSON = "scientist"
DEADLINE = 90.0


def ssh(*options: str) -> list[str]:
    keys = LAB / ".state" / "ssh"
    return [
        "ssh", "-i", str(keys / "id_ed25519"), "-o", f"UserKnownHostsFile={keys / 'known_hosts'}",
        "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", *options, f"{PERSON}@{ADDRESSES[DESKTOP]}",
    ]  # fmt: skip


def said(command: str) -> str:
    """What a command of the person's prints, without a terminal or a display."""
    done = subprocess.run([*ssh("-x"), command], capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Typed:
    """A terminal that is typed into."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment)  # noqa: S606  (there is no shell to start)
        self._seen = ""

    def until(self, text: str) -> str:
        """What is printed up to that."""
        end = ends_in(DEADLINE)
        while text not in self._seen:
            assert time.monotonic() < end, f"{text!r} was not printed: {self._seen[-2000:]}"
            self._read()
        before, _, self._seen = self._seen.partition(text)
        return before

    def type(self, line: str) -> None:
        os.write(self._file, line.encode() + b"\r")

    def ended(self) -> int:
        """Its exit status."""
        with suppress(OSError):
            while self._read():
                pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> bool:
        readable, _, _ = select.select([self._file], [], [], 1)
        if not readable:
            return True
        new = os.read(self._file, 65536).decode(errors="replace")
        self._seen += new
        return bool(new)


def left_behind() -> str:
    """Containers of the person, and processes of a terminal."""
    containers = said("PODMAN_IGNORE_CGROUPSV1_WARNING=1 podman ps --all --quiet")
    return containers + on(DESKTOP, "pgrep -af '[b]luefleet.acquisition.terminal|[c]onmon.*bsui' || true")


def gone_within(seconds: float) -> bool:
    end = time.monotonic() + seconds
    while left := left_behind():
        if time.monotonic() > end:
            raise AssertionError(f"left behind: {left}")
        time.sleep(1)
    return True
