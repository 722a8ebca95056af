"""Engines as they are on bad days, each at a loopback address: paused in the middle of everything, or off."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tls_front import Front

_SERVES = """
import sys, threading
from pathlib import Path
from tls_front import Fronts
front = Fronts(sys.argv[1]).engine(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
print(front.port, flush=True)
threading.Event().wait()
"""


class EngineProcess:
    """The real engine, behind a process of its own, which a test may pause as a machine that hangs."""

    def __init__(self, engine: str, address: str, certificate: Path, authority: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVES, engine, address, str(certificate), str(authority)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.front = Front(address, int(self._process.stdout.readline()))

    def pause(self) -> None:
        """Its kernel still accepts connections; nobody answers."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


class SwitchedOff:
    """An address from which nothing comes back, as from a machine without power: no answer, and no refusal either."""

    def __init__(self, address: str) -> None:
        self._server = socket.socket()
        self._server.bind((address, 0))
        self._server.listen(0)
        # Its queue is full: what dials now is dropped in silence.
        self._dialled = [socket.socket() for _ in range(4)]
        for one in self._dialled:
            one.setblocking(False)
            with suppress(BlockingIOError):
                one.connect(self._server.getsockname())
        self.front = Front(*self._server.getsockname()[:2])

    def end(self) -> None:
        for one in [*self._dialled, self._server]:
            one.close()
