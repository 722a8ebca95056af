"""A person measures at a desktop: over a real SSH session, in a container without root, with windows on another display."""

from __future__ import annotations

import json
import os
import pty
import re
import secrets
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import matplotlib.image
import numpy as np
import pytest
from lab_door import ADDRESSES, LAB, bluefleet, on

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

DESKTOP = "data"
PERSON = "scientist"
DEADLINE = 90.0
SPOOLS = f"/var/lib/bluefleet/terminals/{PERSON}"
# The first line of a plot, in matplotlib's own colours.
BLUE = np.array([31, 119, 180])
NEEDED = ("Xvfb", "xauth", "xwininfo", "import")
MISSING = [name for name in NEEDED if shutil.which(name) is None]


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


class Display:
    """An X server that shows nothing, with a cookie of its own."""

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

    def _add(self, number: str, cookie: str) -> None:
        subprocess.run(["xauth", "-f", self.environment["XAUTHORITY"], "add", f":{number}", ".", cookie], check=True)

    def _of(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True, timeout=30)
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
        end = time.monotonic() + DEADLINE
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


@pytest.fixture
def display(tmp_path: Path) -> Iterator[Display]:
    if MISSING:
        pytest.fail(f"{', '.join(MISSING)} not found: apt-get install xvfb xauth x11-utils imagemagick")
    with Display(tmp_path) as made:
        yield made


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


def test_a_scan_is_typed_its_plot_is_a_window_and_nothing_is_left_behind(display: Display) -> None:
    # What the first use makes stays: podman's folders, and IPython's history.
    said("bsui --headless -- -c pass")
    files = said("find . -newer .profile -not -path './.local/share/containers/*' -not -path './.ipython/*' | sort")
    session = Typed([*ssh("-X", "-t"), "bsui"], display.environment)
    session.until("In [")
    session.type("RE(scan([det1], motor1, -1, 1, 25))")
    session.until("scan num: ")
    # When the prompt is back, everything is drawn.
    session.until("In [")
    assert '"det1 vs motor1"' in display.windows()
    pixels = (matplotlib.image.imread(display.picture("plot.png"))[..., :3] * 255).round()
    assert (np.abs(pixels - BLUE).max(axis=-1) < 8).sum() > 300, "no line is in the window"
    session.type("plt.figure('mine'); plt.plot([1, 2])")
    end = time.monotonic() + DEADLINE
    while '"mine"' not in display.windows():
        assert time.monotonic() < end, "windows do nothing while the prompt waits"
        time.sleep(0.2)
    session.type("RE(scan([det1], motor, -1, 1, 5))")
    uid = re.search(r"Scan ID: '([0-9a-f-]{36})'", session.until("scan num: "))
    assert uid is not None
    session.type("exit")
    assert session.ended() == 0
    assert gone_within(20)
    now = said("find . -newer .profile -not -path './.local/share/containers/*' -not -path './.ipython/*' | sort")
    assert set(now.split()) - set(files.split()) <= {"./.Xauthority"}, "sshd's own"
    verified = bluefleet("documents", "verify", "-1", "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    verdict = json.loads(verified.stdout)
    assert verdict["run"] == uid[1], "the last run is the terminal's"
    assert f"spool: on desktop {DESKTOP}, not looked at" in verdict["notes"]


def test_the_operator_sees_documents_that_wait_on_the_desktop() -> None:
    def row() -> dict[str, Any]:
        rows = json.loads(bluefleet("documents", "backlog", "--json").stdout)["waiting"]
        return next(one for one in rows if one["source"] == f"terminals of {DESKTOP}")

    def within(seconds: float, reached: Callable[[dict[str, Any]], bool]) -> None:
        end = time.monotonic() + seconds
        while not reached(found := row()):
            assert time.monotonic() < end, found
            time.sleep(1)

    within(30, lambda found: not found["reason"] and found["documents"] == 0)
    on(DESKTOP, "systemctl stop bluefleet-terminal-forwarder")
    try:
        said("bsui --headless -- -c 'RE(count([det1]))'")
        # It said goodbye with nothing waiting, so what came since nobody can know of.
        assert row()["reason"] == ""
    finally:
        on(DESKTOP, "systemctl start bluefleet-terminal-forwarder")
    # A process that hangs says nothing.
    on(DESKTOP, "pkill -STOP -f '[p]ython -m bluefleet.documents.forwarder'")
    try:
        within(120, lambda found: "has told nothing" in found["reason"])
    finally:
        on(DESKTOP, "pkill -CONT -f '[p]ython -m bluefleet.documents.forwarder'")
    within(30, lambda found: not found["reason"] and found["documents"] == 0)


def test_a_session_that_breaks_off_leaves_nothing_and_its_run_is_closed(display: Display) -> None:
    session = Typed([*ssh("-X", "-t"), "bsui --headless"], display.environment)
    session.until("In [")
    session.type("RE(count([det1], num=1000, delay=1))")
    uid = re.search(r"Scan ID: '([0-9a-f-]{36})'", session.until("|         2 |"))
    assert uid is not None
    os.kill(session.pid, signal.SIGKILL)
    os.waitpid(session.pid, 0)
    assert gone_within(30)
    end = time.monotonic() + DEADLINE
    while (verified := bluefleet("documents", "verify", uid[1])).returncode != 0:
        assert time.monotonic() < end, verified.stdout + verified.stderr
        time.sleep(1)


def test_scan_ids_go_on_from_one_terminal_to_the_next() -> None:
    program = "RE(count([det])); print('SCAN', RE.md['scan_id'])"
    first, second = (int(said(f'bsui --headless -- -c "{program}"').partition("SCAN ")[2].split()[0]) for _ in "ab")
    assert second == first + 1


def test_a_checkout_is_used_and_named(tmp_path: Path) -> None:
    said("mkdir -p checkout/seven && echo \"where = 'the checkout'\" > checkout/seven/__init__.py")
    program = "import seven; print(seven.where, RE.md['versions']['seven'])"
    printed = said(f'bsui --headless --dev checkout -- -c "{program}"; rm -r checkout')
    assert f"the checkout checkout /home/{PERSON}/checkout" in printed


def test_a_person_reaches_nothing_of_redis_but_what_is_shared() -> None:
    program = "RE.md._shared._redis_client.get('qs_default_plan_queue')"
    printed = said(f'bsui --headless -- -c "{program}" || true')
    assert "NoPermissionError" in printed


def test_people_can_not_read_what_is_not_theirs() -> None:
    for path in ("/etc/bluefleet/desktop/forwarder", "/etc/bluefleet/desktop/registry.json"):
        assert said(f"cat {path}/* {path} 2>/dev/null || echo refused").strip() == "refused"
    assert on(DESKTOP, f"stat -c %a {SPOOLS}").strip() == "700"
