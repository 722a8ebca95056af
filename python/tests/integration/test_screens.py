"""Screens of devices as on a desktop: the real image, a virtual X server, a real IOC, and somebody who types."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from document_stack import SOURCE, docker

from camera_process import free_port
from patience import ends_in
from x_display import Display

pytestmark = pytest.mark.timeout(180)

DEADLINE = 60.0
# libca searches for what was away once a minute.
BACK = 90.0
NODE = "127.0.0.1"

# The program as it is, in a process that also tells what stands in its window, a line every so often.
TELLING = """
import json, sys
from qtpy.QtCore import QPoint, QTimer
from qtpy.QtWidgets import QApplication

def told(screen):
    from typhos.positioner import TyphosPositionerWidget
    from pydm.widgets.label import PyDMLabel
    found = {"state": screen.state.text(), "values": [each.text() for each in screen.findChildren(PyDMLabel)]}
    for position in screen.findChildren(TyphosPositionerWidget):
        field = position.ui.set_value
        centre = field.mapToGlobal(QPoint(field.width() // 2, field.height() // 2))
        found |= {"readback": position.ui.user_readback.text(), "status": position.ui.status_label.text(),
                  "field": [centre.x(), centre.y()], "stop": position.ui.stop_button.isVisible()}
    return found

def tell():
    for window in QApplication.topLevelWidgets():
        if hasattr(window, "screens"):
            print(json.dumps({screen.device.name: told(screen) for screen in window.screens}), flush=True)

def execute(start=QApplication.exec_):
    timer = QTimer()
    timer.timeout.connect(tell)
    timer.start(200)
    return start()

QApplication.exec_ = staticmethod(execute)
from bluefleet.screens.__main__ import main
sys.exit(main())
"""


class Ioc:
    """mini_beamline in a container, which can be killed and started again."""

    def __init__(self, image: str) -> None:
        self.port = free_port()
        self.name = f"bluefleet-test-{uuid.uuid4().hex[:8]}-ioc"
        self._image = image

    def run(self) -> None:
        ports = [f"--env={name}={self.port}" for name in ("EPICS_CA_SERVER_PORT", "EPICS_CAS_SERVER_PORT")]
        docker("run", "--detach", "--name", self.name, "--network", "host", *ports, self._image,
               "mini_beamline", "--prefix", "mini:", "--interfaces", NODE)  # fmt: skip

    def value(self, name: str) -> float:
        """What the IOC itself says."""
        return float(self._client("caproto-get", "--terse", "--no-repeater", name))

    def put(self, name: str, value: float) -> None:
        self._client("caproto-put", "--no-repeater", name, str(value))

    def _client(self, program: str, *arguments: str) -> str:
        address = ("--env", f"EPICS_CA_ADDR_LIST={NODE}:{self.port}", "--env", "EPICS_CA_AUTO_ADDR_LIST=NO")
        return docker("exec", *address, self.name, program, *arguments)


@pytest.fixture(scope="module")
def ioc(images: dict[str, str]) -> Iterator[Ioc]:
    found = Ioc(images["ioc"])
    found.run()
    yield found
    docker("rm", "--force", found.name)


@pytest.fixture
def fleet_file(ioc: Ioc, tmp_path: Path) -> Path:
    """A site with that IOC, and one that is not there."""

    def device(name: str, class_name: str, prefix: str) -> dict[str, str]:
        return {"name": name, "class": f"bluefleet.devices.{class_name}", "prefix": prefix}

    def instance(name: str, port: int, *devices: dict[str, str]) -> dict[str, Any]:
        return {"name": name, "image": "ioc", "command": [], "channel_access_port": port, "devices": list(devices)}

    beamline = instance(
        "mini-beamline", ioc.port, device("motor_ph", "Axis", "mini:ph:"), device("pinhole", "Detector", "mini:ph:")
    )
    digest = "sha256:" + "0" * 64
    instances = [
        beamline,
        instance("away", free_port(), device("gone", "Axis", "gone:"), device("sample_x", "Motor", "gone:m1")),
    ]
    node = {"name": "node1", "address": NODE, "transport": "plain", "port": 2375, "categories": []}
    site = {
        "schema_version": 1,
        "site": "lab",
        "hosts": {"node1": {"address": NODE, "groups": ["nodes"]}},
        "registry": None,
        "images": {"ioc": {"reference": f"ioc@{digest}", "digest": digest}},
        "nodes": [{**node, "instances": instances}],
    }
    (tmp_path / "fleet.yml").write_text(yaml.safe_dump(site), encoding="utf-8")
    return tmp_path / "fleet.yml"


class Screens:
    """bsui-screens in the image, as the launcher of a desktop starts it."""

    def __init__(self, image: str, fleet_file: Path, display: Display | None = None) -> None:
        self._options = [
            "run", "--rm", "--init", "--network", "host", "--user", "0:0", "--read-only", "--tmpfs", "/tmp",
            "--cap-drop", "all", "--env", "HOME=/tmp", "--env", "BLUEFLEET_FLEET_FILE=/run/fleet.yml",
            "--volume", f"{fleet_file}:/run/fleet.yml:ro", "--volume", f"{SOURCE}:/source:ro",
            "--env", "PYTHONPATH=/source", "--env", "PYTHONDONTWRITEBYTECODE=1",
        ]  # fmt: skip
        if display:
            known = display.environment
            self._options += [
                "--env", f"DISPLAY={known['DISPLAY']}", "--env", "XAUTHORITY=/run/xauthority",
                "--volume", f"{known['XAUTHORITY']}:/run/xauthority:ro", "--volume", "/tmp/.X11-unix:/tmp/.X11-unix",
            ]  # fmt: skip
        self._image = image

    def said(self, *asked: str) -> subprocess.CompletedProcess[str]:
        """What it says when it opens nothing."""
        command = ["docker", *self._options, self._image, "python", "-m", "bluefleet.screens", *asked]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)

    @contextmanager
    def open(self, *devices: str) -> Iterator[Window]:
        """A window, until the test has seen enough."""
        name = f"bluefleet-test-{uuid.uuid4().hex[:8]}-screens"
        command = ["docker", *self._options, "--name", name, self._image, "python", "-c", TELLING, *devices]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            window = Window(process)
            try:
                yield window
            finally:
                subprocess.run(["docker", "kill", name], capture_output=True, check=False)
                process.wait(30)


class Window:
    """What stands in the window now."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._now: dict[str, Any] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._now = json.loads(line)

    def until(self, device: str, seen: Callable[[dict[str, Any]], bool], seconds: float = DEADLINE) -> dict[str, Any]:
        """What is shown of a device, once it is so."""
        end = ends_in(seconds)
        while not (self._now.get(device) and seen(self._now[device])):
            if self._process.poll() is not None:
                assert self._process.stderr is not None
                raise AssertionError(f"the window is gone: {self._process.stderr.read()}")
            assert time.monotonic() < end, f"{device}: {self._now}"
            time.sleep(0.1)
        return self._now[device]


@pytest.fixture
def screens(images: dict[str, str], fleet_file: Path, display: Display) -> Screens:
    return Screens(images["screens"], fleet_file, display)


def test_a_screen_shows_the_value_that_the_ioc_has_now(screens: Screens, ioc: Ioc, display: Display) -> None:
    with screens.open("motor_ph", "pinhole") as window:
        window.until("pinhole", lambda shown: any(text.strip("-").isdigit() for text in shown["values"]))
        ioc.put("mini:ph:mtr", 0.25)
        shown = window.until("motor_ph", lambda shown: shown["readback"].startswith("0.25"))
        assert not shown["state"]
        assert '"lab: motor_ph, pinhole"' in display.windows()
        # The IOC has no stop: a button for it would stop nothing.
        assert not shown["stop"]


def test_a_position_that_is_typed_moves_the_motor(screens: Screens, ioc: Ioc, display: Display) -> None:
    with screens.open("motor_ph") as window:
        shown = window.until("motor_ph", lambda shown: not shown["state"] and shown["readback"] != "")
        display.type_at(*shown["field"], "1.5")
        window.until("motor_ph", lambda shown: shown["readback"].startswith("1.5"))
        assert ioc.value("mini:ph:mtr") == pytest.approx(1.5)


def test_a_device_whose_ioc_is_away_is_shown_as_that_and_holds_nothing_up(
    screens: Screens, ioc: Ioc, display: Display
) -> None:
    with screens.open("gone", "motor_ph") as window:
        shown = window.until("gone", lambda shown: "disconnected: no answer from gone:mtr, gone:vel" in shown["state"])
        display.type_at(*shown["field"], "2")
        window.until("gone", lambda shown: "gone does not answer" in shown["status"])
        ioc.put("mini:ph:mtr", -0.5)
        window.until("motor_ph", lambda shown: shown["readback"].startswith("-0.5"))


def test_a_device_that_went_is_shown_as_that_until_it_is_back(screens: Screens, ioc: Ioc) -> None:
    with screens.open("motor_ph") as window:
        window.until("motor_ph", lambda shown: not shown["state"])
        docker("kill", ioc.name)
        window.until("motor_ph", lambda shown: "disconnected: no answer from mini:ph:mtr" in shown["state"])
        docker("start", ioc.name)
        window.until("motor_ph", lambda shown: not shown["state"], BACK)


def test_a_stop_is_offered_where_the_ioc_has_one(screens: Screens) -> None:
    with screens.open("sample_x") as window:
        assert window.until("sample_x", lambda shown: shown["readback"] != "")["stop"]


def test_what_is_no_device_is_refused_with_those_that_are(screens: Screens) -> None:
    done = screens.said("motor_ph", "moter")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bsui-screens: lab has no device moter; it has: gone, motor_ph, pinhole, sample_x\n"


def test_without_a_display_names_can_be_listed_and_nothing_opened(images: dict[str, str], fleet_file: Path) -> None:
    screens = Screens(images["screens"], fleet_file)
    listed = screens.said("--list")
    assert listed.stdout.splitlines() == [
        "gone      bluefleet.devices.Axis      away on node1",
        "motor_ph  bluefleet.devices.Axis      mini-beamline on node1",
        "pinhole   bluefleet.devices.Detector  mini-beamline on node1",
        "sample_x  bluefleet.devices.Motor     away on node1",
    ]
    assert "there is no display: log in with `ssh -X`" in screens.said("motor_ph").stderr


def test_a_display_that_is_gone_is_refused(images: dict[str, str], fleet_file: Path, display: Display) -> None:
    display.environment["DISPLAY"] = ":4711"
    done = Screens(images["screens"], fleet_file, display).said("motor_ph")
    assert done.returncode == 2
    assert "display :4711 can't be opened" in done.stderr
