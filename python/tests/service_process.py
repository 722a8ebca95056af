"""The fleet service as a process, and how a program asks it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Self

import httpx
import pytest
import yaml

from bluefleet.fleet import Settings
from bluefleet.model import Site
from patience import PATIENCE, ends_in

TOKEN = "a token of forty-eight letters and digits"
_LISTENS = re.compile(r"answers at \('127\.0\.0\.1', (\d+)\)")
# Shorter pauses than a site would have; what is waited for is always a state, never a time.
QUICK = {"PERIOD": "1", "FIRST_PAUSE": "0.2", "LONGEST_PAUSE": "0.5", "TRIES": "2", "DEADLINE": "2"}


def declare(site: Site, settings: Settings) -> None:
    """Write the site file, as site.yml does: whole."""
    new = settings.site_file.with_suffix(".new")
    new.write_text(yaml.safe_dump(site.model_dump(mode="json", by_alias=True)))
    new.replace(settings.site_file)


class ServiceProcess:
    """One service; `log` is what it wrote."""

    def __init__(self, settings: Settings, **chosen: str) -> None:
        settings.fleet_token.parent.mkdir(parents=True, exist_ok=True)
        settings.fleet_token.write_text(TOKEN + "\n")
        variables = {f"BLUEFLEET_SERVICE_{name}": value for name, value in {"PORT": "0", **QUICK, **chosen}.items()}
        folders = {"BLUEFLEET_ETC": str(settings.etc), "BLUEFLEET_LIB": str(settings.lib)}
        program = "from bluefleet.cli.service import app; app(['run'])"
        self.log: list[str] = []
        self._port = 0
        self._listens = threading.Event()
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, **folders, **variables},
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self.log.append(line.rstrip())
                if found := _LISTENS.search(line):
                    self._port = int(found[1])
                    self._listens.set()

    def __enter__(self) -> Self:
        assert self._listens.wait(20), self.log
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self._port}",
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=40 * PATIENCE,
            trust_env=False,
        )
        return self

    def __exit__(self, *error: object) -> None:
        self.http.close()
        self.end()

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait until it has ended."""
        self.process.send_signal(how)
        self.process.wait(30)
        self._reader.join(10)

    def get(self, path: str, **query: Any) -> Any:
        """A JSON answer that is 200."""
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, verb: str, *targets: str, **more: Any) -> Any:
        """A verb that must be done."""
        answer = self.http.post(f"/{verb}", json={"who": "ada", "targets": list(targets), **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def instance(self, name: str) -> dict[str, Any]:
        """What status says of one instance; empty when it says nothing of it."""
        found = [one for node in self.get("/status")["nodes"] for one in node["instances"] if one["name"] == name]
        return found[0] if found else {}

    def until(self, true: Callable[[], Any], *, within: float = 30.0) -> Any:
        """Wait until it is so; returns what was."""
        deadline = ends_in(within)
        while not (found := true()):
            assert time.monotonic() < deadline, "\n".join(self.log)
            assert self.process.poll() is None, "\n".join(self.log)
            time.sleep(0.1)
        return found

    def events(self, after: str | None = None) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Identity, kind and data of events, until the service ends."""
        headers = {} if after is None else {"Last-Event-ID": after}
        with self.http.stream("GET", "/events", headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            event: dict[str, str] = {}
            for line in answer.iter_lines():
                if line:
                    field, _, value = line.partition(": ")
                    event[field] = value
                elif "data" in event:
                    yield event["id"], event["event"], json.loads(event["data"])
                    event = {}


Serve = Callable[..., ServiceProcess]


@pytest.fixture
def serve(settings: Settings) -> Iterator[Serve]:
    """Starts services of this manager; all of them have ended after the test."""
    running: list[ServiceProcess] = []

    def start(**chosen: str) -> ServiceProcess:
        running.append(ServiceProcess(settings, **chosen))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)
