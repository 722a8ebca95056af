"""A person measures at a desktop: over a real SSH session, in a container without root, with windows on another display."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from lab_desktop import DEADLINE, DESKTOP, PERSON, Typed, gone_within, said, ssh
from lab_documents import verified
from lab_door import bluefleet, on
from lab_queue import LabQueue
from lab_runs import tiled

from bluefleet.documents.desktops import TELL_EVERY
from patience import ends_in
from x_display import Display

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

SPOOLS = f"/var/lib/bluefleet/terminals/{PERSON}"
# The first line of a plot, in matplotlib's own colours.
BLUE = np.array([31, 119, 180])
# Its process alone, without podman's around it, which have it among their arguments.
FORWARDER = "^python -m bluefleet.documents.forwarder"


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
    end = ends_in(DEADLINE)
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


@pytest.mark.minutes
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
    delivered = bluefleet("documents", "verify", "-1", "--wait", "60")
    assert delivered.returncode == 0, delivered.stdout
    # Now it has said at least once that it is there again, which is more than that it is off.
    time.sleep(TELL_EVERY + 2)
    # A process that hangs says nothing.
    on(DESKTOP, f"pkill -STOP -f '{FORWARDER}'")
    try:
        within(120, lambda found: "has told nothing" in found["reason"])
    finally:
        on(DESKTOP, f"pkill -CONT -f '{FORWARDER}'")
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
    end = ends_in(DEADLINE)
    while (verified := bluefleet("documents", "verify", uid[1])).returncode != 0:
        assert time.monotonic() < end, verified.stdout + verified.stderr
        time.sleep(1)


def test_scan_ids_go_on_from_one_terminal_to_the_next() -> None:
    program = "RE(count([det])); print('SCAN', RE.md['scan_id'])"
    first, second = (int(said(f'bsui --headless -- -c "{program}"').partition("SCAN ")[2].split()[0]) for _ in "ab")
    assert second == first + 1


def test_scan_ids_and_what_is_written_into_re_md_go_on_from_the_terminal_to_the_queue_and_back() -> None:
    def measured(program: str) -> int:
        said_here = said(f"bsui --headless -- -c \"{program}; print('SCAN', RE.md['scan_id'])\"")
        return int(said_here.partition("SCAN ")[2].split()[0])

    number = measured("RE.md['proposal'] = 'P-17'; RE(count([det]))")
    queue = LabQueue()
    try:
        queue.open()
        uid = queue.start("count", ["det1"], num=3, delay=0.5)
        queue.wait(lambda status: status["manager_state"] == "idle", "idle")
    finally:
        queue.close()
        after = measured("RE(count([det])); del RE.md['proposal']")
    assert after == number + 2
    verified(uid)
    with tiled() as client:
        start = client.get(f"metadata/runs/{uid}").raise_for_status().json()["data"]["attributes"]["metadata"]["start"]
    assert (start["scan_id"], start["proposal"]) == (number + 1, "P-17")


def test_the_last_run_is_read_in_the_terminal_and_nothing_is_changed_there() -> None:
    uid = re.search(r"Scan ID: '([0-9a-f-]{36})'", said("bsui --headless -- -c 'RE(count([det]))'"))
    assert uid is not None
    verified = bluefleet("documents", "verify", uid[1], "--wait", "20")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    program = "print('LAST', db[-1].metadata['start']['uid'], len(db[-1]['primary'].read()['time']))"
    assert f"LAST {uid[1]} 1" in said(f'bsui --headless -- -c "{program}"')
    refused = said("bsui --headless -- -c 'db[-1].delete()' 2>&1 || true")
    assert "403" in refused
    program = "print('LAST', db[-1].metadata['start']['uid'])"
    assert f"LAST {uid[1]}" in said(f'bsui --headless -- -c "{program}"')


def test_a_checkout_is_used_and_named(tmp_path: Path) -> None:
    # As git leaves it: `_version` comes when a package is built.
    said("mkdir -p checkout/seven && echo 'from ._version import version' > checkout/seven/__init__.py")
    program = "import seven; print(seven.version, RE.md['versions']['seven'])"
    printed = said(f'bsui --headless --dev checkout -- -c "{program}"; rm -r checkout')
    assert f"0+checkout checkout /home/{PERSON}/checkout" in printed


def test_a_person_reaches_nothing_of_redis_but_what_is_shared() -> None:
    program = "RE.md._shared._redis_client.get('qs_default_plan_queue')"
    printed = said(f'bsui --headless -- -c "{program}" || true')
    assert "NoPermissionError" in printed


def test_people_can_not_read_what_is_not_theirs() -> None:
    for path in ("/etc/bluefleet/desktop/forwarder", "/etc/bluefleet/desktop/registry.json"):
        assert said(f"cat {path}/* {path} 2>/dev/null || echo refused").strip() == "refused"
    assert on(DESKTOP, f"stat -c %a {SPOOLS}").strip() == "700"
