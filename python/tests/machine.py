"""A machine with an engine of its own that can be switched off and on, and the power unit it hangs on."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import weakref
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from patience import ends_in

_STARTS = 40.0


class Machine:
    """A real engine in a network of its own: nothing of this machine's own engine is touched."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.socket = folder / "docker.sock"
        # A short path, whatever the test is called and runs beside: below it lie sockets, whose paths may have 107 bytes.
        self._exec = Path(tempfile.mkdtemp(prefix="bf-"))
        # As far as it can be removed: what a killed engine had mounted there may go only with its last process.
        weakref.finalize(self, shutil.rmtree, self._exec, ignore_errors=True)
        self._process: subprocess.Popen[bytes] | None = None

    def on(self) -> None:
        """Start it; returns when it answers."""
        if self._process is not None:
            return
        words = [
            "unshare", "--net", "dockerd", "--host", f"unix://{self.socket}",
            "--data-root", str(self._folder / "data"), "--exec-root", str(self._exec),
            "--pidfile", str(self._folder / "pid"), "--config-file", str(self._folder / "none.json"),
            "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--storage-driver=vfs",
        ]  # fmt: skip
        (self._folder / "none.json").write_text("{}")
        # A group of its own: its containerd goes with it.
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        deadline = ends_in(_STARTS)
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError((self._folder / "log").read_text()[-2000:])
            time.sleep(0.1)

    def off(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is None:
            return
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        for left in (self._folder / "pid", self.socket, self._exec / "containerd/containerd.pid"):
            left.unlink(missing_ok=True)

    def _answers(self) -> bool:
        asked = ["curl", "--silent", "--fail", "--unix-socket", str(self.socket), "http://engine/_ping"]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0


class PowerUnit:
    """`url` takes POST /outlet/<action> with its token; `calls` is what it was asked. It can be broken."""

    def __init__(self, machine: Machine, token: str) -> None:
        self.calls: list[str] = []
        self.broken: set[str] = set()
        unit = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                action = self.path.rpartition("/")[2]
                if self.headers.get("Authorization") != f"Bearer {token}":
                    self.send_error(401)
                    return
                unit.calls.append(action)
                if action in unit.broken:
                    self.send_error(500, "relay stuck")
                    return
                {"off": machine.off, "on": machine.on}[action]()
                self.send_response(204)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Tests are quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/outlet/{{action}}"
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    def close(self) -> None:
        """From here on nothing answers."""
        self._server.shutdown()
        self._server.server_close()
