"""The RE manager starts when Redis answers, however late that is."""

from __future__ import annotations

import socket
import threading
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest

from bluefleet.acquisition.redis_ready import RedisAway, wait_for_redis


class Loading(StreamRequestHandler):
    """Speaks as much of Redis' protocol as is asked; at first it has its file still to read."""

    server: Late

    def handle(self) -> None:
        while (head := self.rfile.readline()).startswith(b"*"):
            words = []
            for _ in range(int(head[1:])):
                self.rfile.readline()
                words.append(self.rfile.readline().strip())
            if words[0] != b"PING":
                self.wfile.write(b"+OK\r\n")
                continue
            self.server.pings += 1
            self.wfile.write(b"+PONG\r\n" if self.server.pings > 2 else b"-LOADING Redis is loading the dataset\r\n")


class Late(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    pings = 0


@pytest.fixture
def port() -> int:
    """One that nobody answers at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
def test_a_redis_that_comes_late_is_waited_for_and_that_is_said_once(port: int) -> None:
    said: list[str] = []
    serving: list[Late] = []

    def start(words: str) -> None:
        said.append(words)
        serving.append(Late(("127.0.0.1", port), Loading))
        threading.Thread(target=serving[0].serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    wait_for_redis(f"127.0.0.1:{port}", None, deadline=30, tell=start)
    assert len(said) == 1
    assert f"127.0.0.1:{port}" in said[0]
    assert serving[0].pings == 3
    serving[0].shutdown()
    serving[0].server_close()


def test_a_redis_that_never_comes_ends_the_wait_with_its_address(port: int) -> None:
    with pytest.raises(RedisAway, match=f"127.0.0.1:{port}"):
        wait_for_redis(f"127.0.0.1:{port}", None, deadline=1, tell=[].append)
