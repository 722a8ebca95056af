"""The power unit as a process of its own, and containers that hang on it: this machine's engine has both."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx

from patience import PATIENCE
from real_engine import SOCKET, docker
from tls_front import Authority

PROGRAM = Path(__file__).resolve().parents[3] / "roles" / "virtual_host" / "files" / "power_unit.py"
TOKEN = "the token of the unit"


class Host:
    """A container made as a virtual host is: by label, name and restart policy."""

    def __init__(self, image: str, name: str, checkout: str) -> None:
        self.name = name
        label = f"org.bluefleet.lab={checkout}"
        docker(
            *("run", "--detach", "--name", name, "--label", label, "--network", "none", "--restart", "unless-stopped"),
            *(image, "/bin/sleep", "infinity"),
        )

    def inspect(self) -> dict[str, Any]:
        """What the engine knows of it."""
        return json.loads(docker("inspect", self.name))[0]

    @property
    def status(self) -> str:
        """The engine's word for how it is; `restarting` and not `exited` when a policy is about to bring it back."""
        return str(self.inspect()["State"]["Status"])

    def remove(self) -> None:
        """Remove it."""
        docker("rm", "--force", self.name)


class Unit:
    """A power unit with a certificate for loopback, that answers."""

    def __init__(self, folder: Path, network: str, checkout: str, *more: str, engine: str = SOCKET) -> None:
        folder.mkdir()
        authority = Authority(folder, "site")
        authority.sign(folder / "server", ["127.0.0.1"])
        self.ca_file, self.token_file = authority.file, folder / "token"
        self.token_file.write_text(TOKEN)
        self._lines: list[str] = []
        self._process = subprocess.Popen(
            [
                *(sys.executable, str(PROGRAM), "--network", network, "--checkout", checkout, "--engine", engine),
                *("--token-file", str(self.token_file), "--certificate", str(folder / "server.crt")),
                *("--key", str(folder / "server.key"), "--address", "127.0.0.1", "--port", "0", *more),
            ],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "error"},
        )
        assert self._process.stderr is not None
        first = self._process.stderr.readline()
        said = re.search(r"answers on port (\d+)", first)
        assert said is not None, first
        self.port = int(said[1])
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"https://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, token: str | None = TOKEN) -> tuple[int, dict[str, Any]]:
        """Status and content of an answer."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        trust = ssl.create_default_context(cafile=str(self.ca_file))
        with httpx.Client(verify=trust, trust_env=False, timeout=30 * PATIENCE) as client:
            answer = client.request(method, self.url + path, headers=headers)
        return answer.status_code, answer.json()

    def silent_client(self) -> socket.socket:
        """A connection that never says a word."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def close(self) -> str:
        """End it as the engine ends a container; what it said. It ends well."""
        self._process.terminate()
        code = self._process.wait(10)
        self._reader.join(10)
        assert code == 0, self._lines
        return "".join(self._lines)

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            self._lines += stream
