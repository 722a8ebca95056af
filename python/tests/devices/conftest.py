"""Real IOCs on this machine's loopback: those of image ioc and a camera, each on a port of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from camera_process import CameraProcess
from patience import ends_in

START_DEADLINE = 30.0
IMAGE = Path(__file__).parents[3] / "images" / "ioc"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Ioc:
    """One IOC that a test may stop and start again on the same port; a name with a dot is a module of the image."""

    name: str
    prefix: str
    options: tuple[str, ...] = ()
    port: int = field(default_factory=_free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        port = str(self.port)
        environment = {
            **os.environ,
            "PYTHONPATH": str(IMAGE),
            "EPICS_CA_SERVER_PORT": port,
            "EPICS_CAS_SERVER_PORT": port,
        }
        module = self.name if "." in self.name else f"caproto.ioc_examples.{self.name}"
        self.process = subprocess.Popen(
            [
                sys.executable, "-W", "ignore", "-m", module,
                "--prefix", self.prefix, "--interfaces", "127.0.0.1", *self.options,
            ],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = ends_in(START_DEADLINE)
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise TimeoutError(f"{self.name} doesn't listen on {self.port}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None


@dataclass(frozen=True)
class Iocs:
    """The IOCs of a test session."""

    beamline: Ioc
    walk: Ioc
    xafs: Ioc
    camera: CameraProcess


@pytest.fixture(scope="session")
def iocs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iocs]:
    """All run; libca is told of them before anything loads it."""
    camera = CameraProcess(tmp_path_factory.mktemp("camera"))
    xafs = Ioc("simulated.xafs_beamline", "xafs:", ("--hurry", "10000", "--seed", "1"))
    all_ = Iocs(Ioc("mini_beamline", "mini:"), Ioc("random_walk", "random_walk:"), xafs, camera)
    ports = (all_.beamline.port, all_.walk.port, xafs.port, camera.channel_access_port)
    addresses = [f"127.0.0.1:{port}" for port in ports]
    os.environ["EPICS_CA_ADDR_LIST"] = " ".join(addresses)
    os.environ["EPICS_CA_AUTO_ADDR_LIST"] = "NO"
    for ioc in (all_.beamline, all_.walk, xafs, camera):
        ioc.start()
    yield all_
    for ioc in (all_.beamline, all_.walk, xafs, camera):
        ioc.stop()
