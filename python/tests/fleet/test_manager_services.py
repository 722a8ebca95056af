"""status and doctor ask the manager's own services, where it has them."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from bluefleet.fleet import Settings, StatusReport, doctor, status
from bluefleet.fleet._manager_services import actor, fleet_service
from bluefleet.model import Site

SITE = Site.model_validate(
    {"schema_version": 1, "site": "hill", "hosts": {}, "registry": None, "images": {}, "nodes": []}
)


class Health(BaseHTTPRequestHandler):
    """What a service says of its health."""

    code = 200

    def do_GET(self) -> None:
        self.send_response(self.code if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name)
        """Tests are quiet."""


@pytest.fixture
def manager(tmp_path: Path) -> Settings:
    """A machine without any service."""
    (tmp_path / "units").mkdir()
    return Settings(etc=tmp_path, lib=tmp_path / "lib", units=tmp_path / "units")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    """A service on loopback, which a proxy of the environment would hide."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with HTTPServer(("127.0.0.1", 0), Health) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def has_service(manager: Settings, port: int) -> None:
    unit = manager.units / "bluefleet-fleet.service"
    unit.write_text(f'[Service]\nUser=bluefleet\nEnvironment="BLUEFLEET_SERVICE_PORT={port}"\n')


def has_actor(manager: Settings, port: int) -> None:
    wants = manager.units / "multi-user.target.wants"
    wants.mkdir()
    (wants / "bluefleet-actor.service").symlink_to("/nowhere")
    (manager.etc / "actor.yml").write_text(f"actor: {{port: {port}}}\n")


def looked(manager: Settings) -> StatusReport:
    return asyncio.run(status(SITE, manager, deadline=2))


def test_where_no_service_is_installed_none_is_missed(manager: Settings) -> None:
    assert fleet_service(manager, deadline=2) is None
    assert actor(manager, deadline=2) is None
    assert looked(manager).ok
    # A folder of units that isn't there is no trouble either.
    assert looked(replace(manager, units=manager.units / "none")).ok


def test_a_service_that_answers_is_well_and_one_that_does_no_round_is_not(
    manager: Settings, server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_service(manager, server.server_port)
    has_actor(manager, server.server_port)
    found = looked(manager)
    assert (found.ok, found.service is not None) == (True, True)
    checks = {one.check: one.outcome for one in asyncio.run(doctor(SITE, manager)).checks}
    assert (checks["fleet service"], checks["actor"]) == ("ok", "ok")
    monkeypatch.setattr(Health, "code", 503)
    assert looked(manager).not_well == ["fleet service"]


def test_a_service_that_is_stopped_is_not_well(manager: Settings) -> None:
    has_service(manager, 1)
    has_actor(manager, 1)
    found = looked(manager)
    assert (found.ok, found.not_well) == (False, ["fleet service"])
    report = asyncio.run(doctor(SITE, manager))
    wrong = {one.check: one for one in report.checks if one.outcome == "failed"}
    assert not report.ok
    assert "nothing listens" in wrong["fleet service"].what
    assert "systemctl start bluefleet-fleet" in wrong["fleet service"].remedy
    assert "systemctl start bluefleet-actor" in wrong["actor"].remedy
