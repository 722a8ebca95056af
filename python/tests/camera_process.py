"""A real camera: the program of images/camera, on this machine's loopback, with ports of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from patience import ends_in

PROGRAM = Path(__file__).parents[2] / "images" / "camera"
START_DEADLINE = 30.0
ANSWER_DEADLINE = 15.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class CameraProcess:
    """One camera that a test may stop, kill and start again on the same ports."""

    folder: Path
    name: str = "cam1"
    prefix: str = "cam1:"
    options: tuple[str, ...] = ("--size", "48x64")
    actor_port: int = field(default_factory=free_port)
    channel_access_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.folder / "camera.log").read_text(encoding="utf-8")

    @property
    def frames(self) -> Path:
        return self.folder / "frames"

    @property
    def files(self) -> list[str]:
        """Every file below the frames' folder, half ones too."""
        return sorted(str(file.relative_to(self.frames)) for file in self.frames.rglob("*") if file.is_file())

    def start(self) -> CameraProcess:
        self.frames.mkdir(parents=True, exist_ok=True)
        port = str(self.channel_access_port)
        environment = {
            **os.environ,
            "PYTHONPATH": str(PROGRAM),
            "EPICS_CA_SERVER_PORT": port,
            "EPICS_CAS_SERVER_PORT": port,
        }
        with (self.folder / "camera.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-W", "ignore", "-m", "camera", self.name, "--prefix", self.prefix,
                    "--frames", str(self.frames), "--actor-port", str(self.actor_port), "--interface", "127.0.0.1",
                    *self.options,
                ],
                env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        end = ends_in(START_DEADLINE)
        for number in (self.actor_port, self.channel_access_port):
            while not _listens(number):
                if time.monotonic() > end or self.process.poll() is not None:
                    raise TimeoutError(f"the camera doesn't listen on {number}: {self.log}")
                time.sleep(0.05)
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        code = self.process.wait(10)
        self.process = None
        return code


class Client:
    """One connection to an actor, as `nc` would have it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_DEADLINE)
        self._file = self._socket.makefile("rw", encoding="utf-8", newline="\n")
        self._id = 100

    def send(self, command: str) -> int:
        self._id += 1
        self._file.write(f"{self._id} {command}\n")
        self._file.flush()
        return self._id

    def replies(self, number: int | None) -> list[dict[str, Any]]:
        """Every reply up to the one that ends command ``number``; for None, up to the first broadcast."""
        found: list[dict[str, Any]] = []
        while True:
            line = self._file.readline()
            assert line, "the actor closed the connection"
            reply = json.loads(line)
            found.append(reply)
            if reply["header"]["command_id"] == number and (
                number is None or reply["header"]["message_code"] in {":", "f"}
            ):
                return found

    def until(self, number: int, code: str) -> None:
        """Wait for a reply with that code to command ``number``."""
        while True:
            line = self._file.readline()
            assert line, "the actor closed the connection"
            header = json.loads(line)["header"]
            if (header["command_id"], header["message_code"]) == (number, code):
                return

    def ask(self, command: str) -> tuple[str, dict[str, Any]]:
        """The code a command ended with, and every keyword of its own replies."""
        number = self.send(command)
        own = [reply for reply in self.replies(number) if reply["header"]["command_id"] == number]
        keywords: dict[str, Any] = {}
        for reply in own:
            keywords |= reply["data"]
        return own[-1]["header"]["message_code"], keywords

    def close(self) -> None:
        self._file.close()
        self._socket.close()
