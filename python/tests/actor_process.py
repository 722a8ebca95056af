"""The actor as a process of its own, in front of a site file, and clients that speak its wires as plain TCP clients do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from bluefleet.fleet import Settings
from bluefleet.model import Site
from camera_process import Client, free_port
from patience import ends_in

START_DEADLINE = 30.0
_COMMAND = [sys.executable, "-c", "from bluefleet.cli import main; main()", "actor"]


@dataclass
class ActorProcess:
    """One manager's actor; `options` are keys of its settings file."""

    settings: Settings
    site: Site
    options: dict[str, object] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None
    log: str = ""

    @property
    def config(self) -> Path:
        return self.settings.etc / "actor.yml"

    @property
    def environment(self) -> dict[str, str]:
        own = {"BLUEFLEET_ETC": str(self.settings.etc), "BLUEFLEET_LIB": str(self.settings.lib)}
        return {**{name: text for name, text in os.environ.items() if name != "NOTIFY_SOCKET"}, **own}

    def declare(self) -> None:
        """Write what the actor reads."""
        self.settings.etc.mkdir(parents=True, exist_ok=True)
        (self.settings.lib / "fleet").mkdir(parents=True, exist_ok=True)
        self.settings.site_file.write_text(self.site.model_dump_json(by_alias=True))
        self.config.write_text(
            yaml.safe_dump({"actor": {"port": self.port, "status_every_seconds": 0, **self.options}})
        )

    def say(self, *words: str, seconds: float = 40, **environment: str) -> subprocess.CompletedProcess[str]:
        """`bluefleet actor …`, to its end."""
        return subprocess.run(
            [*_COMMAND, *words],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def start(self) -> ActorProcess:
        """In the foreground, until `stop`."""
        self.declare()
        file = self.settings.lib / "actor.stderr"
        with file.open("w") as stderr:
            self.process = subprocess.Popen(
                [*_COMMAND, "start", "--debug"],
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                text=True,
            )
        end = ends_in(START_DEADLINE)
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            if time.monotonic() > end or self.process.poll() is not None:
                raise TimeoutError(f"the actor does not listen: {file.read_text()}")
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.process = None
        self.log = (self.settings.lib / "actor.stderr").read_text()
        return code


class JsonClient(Client):
    """A client of the JSON wire that keeps replies as a list of code and keywords."""

    def told(self, command: str) -> list[tuple[str, dict[str, object]]]:
        """Every reply to a command, to its end; broadcasts are left out."""
        number = self.send(command)
        return [
            (reply["header"]["message_code"], reply["data"])
            for reply in self.replies(number)
            if reply["header"]["command_id"] == number
        ]


class LegacyClient:
    """A client of the text wire: lines `user command code key=value,…; key=…`."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=15)
        self._file = self._socket.makefile("rw", encoding="utf-8", newline="\n")
        self._id = 40

    def told(self, command: str) -> list[tuple[str, str]]:
        """Every reply to a command, to its end: the code and the text after it."""
        self._id += 1
        self._file.write(f"{self._id} {command}\n")
        self._file.flush()
        found: list[tuple[str, str]] = []
        while True:
            line = self._file.readline()
            assert line, "the actor closed the connection"
            _, number, code, *text = line.rstrip("\n").split(" ", 3)
            if int(number) == self._id:
                found.append((code, text[0] if text else ""))
                if code in ":f":
                    return found

    def greeting(self) -> list[str]:
        """What is told to who connects, up to the version."""
        lines: list[str] = []
        while not lines or "version=" not in lines[-1]:
            lines.append(self._file.readline().rstrip("\n"))
        return lines

    def close(self) -> None:
        self._file.close()
        self._socket.close()
