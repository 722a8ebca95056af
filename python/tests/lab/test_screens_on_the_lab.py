"""A person at a desktop looks at a device and sets it: over a real SSH session, in a container without root."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from lab_desktop import DEADLINE, DESKTOP, gone_within, said, ssh
from lab_door import on

from patience import ends_in
from x_display import Display

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

# What typhos puts behind a value.
BLUE = np.array([11, 58, 233])
TARGET = 0.75


def until(condition: Callable[[], bool], what: str) -> None:
    end = ends_in(DEADLINE)
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.3)


def position() -> float:
    """Where the axis is, as its IOC says."""
    client = "--env EPICS_CA_ADDR_LIST=127.0.0.1 bluefleet-mini-beamline caproto-get --terse --no-repeater mini:ph:mtr"
    return float(on("node1", f"docker exec {client}"))


def value_field(picture: Path) -> tuple[int, int] | None:
    """The middle of the uppermost value in the window."""
    image = matplotlib.image.imread(picture)
    # A window in which nothing is drawn yet has no colours.
    if image.ndim < 3:
        return None
    pixels = (image[..., :3] * 255).round()
    rows, columns = np.nonzero(np.abs(pixels - BLUE).max(axis=-1) < 12)
    if not rows.size:
        return None
    upper = rows < rows.min() + 10
    return int(columns[upper].mean()), int(rows.min())


@contextmanager
def window(display: Display, *devices: str) -> Iterator[subprocess.Popen[bytes]]:
    """bsui-screens in an SSH session, which breaks off at the end."""
    with subprocess.Popen([*ssh("-X"), "bsui-screens", *devices], env=display.environment) as session:
        try:
            until(lambda: f'"lab: {", ".join(devices)}"' in display.windows(), "there is no window")
            yield session
        finally:
            session.kill()


def test_a_position_is_typed_into_a_window_and_the_axis_goes_there(display: Display) -> None:
    with window(display, "motor_ph", "pinhole"):
        until(lambda: value_field(display.picture("screen.png")) is not None, "no value is in the window")
        found = value_field(display.picture("screen.png"))
        assert found is not None
        x, y = found
        # The field to set it with is below the value.
        display.type_at(x, y + 47, str(TARGET))
        until(lambda: abs(position() - TARGET) < 1e-6, f"the axis is at {position()}")
    assert gone_within(30)
    assert not on(DESKTOP, "pgrep -af '[b]luefleet.screens' || true")


def test_names_are_listed_and_others_refused() -> None:
    listed = [line.split()[0] for line in said("bsui-screens --list").splitlines()]
    assert {"motor_ph", "pinhole", "cam1", "thermo"} <= set(listed)
    refused = said("bsui-screens motor_ph 2>&1 || true")
    assert "there is no display: log in with `ssh -X`" in refused
