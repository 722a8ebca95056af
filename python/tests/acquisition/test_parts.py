"""The parts of the start-up that need no hardware."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluefleet.acquisition import channel_access
from bluefleet.acquisition.channel_access import EnvironmentMustReopen
from bluefleet.acquisition.console import run_table
from bluefleet.acquisition.metadata import distribution_name, persistent_metadata, versions
from bluefleet.acquisition.settings import SettingMissing, Settings
from bluefleet.model import Site

MINIMUM = {"BLUEFLEET_FLEET_FILE": "/f", "BLUEFLEET_DEVICES_FILE": "/d", "BLUEFLEET_SPOOL_DIR": "/s"}


def site_with(*ports: int) -> Site:
    instances = [{"name": f"ioc-{port}", "image": "ioc", "channel_access_port": port} for port in ports]
    return Site.model_validate(
        {
            "schema_version": 1,
            "site": "lab",
            "hosts": {"node1": {"address": "10.0.0.1", "groups": ["nodes"]}},
            "registry": None,
            "images": {},
            "nodes": [{"name": "node1", "address": "10.0.0.1", "instances": instances}],
        }
    )


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(SettingMissing, match="BLUEFLEET_SPOOL_DIR"):
        Settings.from_environment({k: v for k, v in MINIMUM.items() if k != "BLUEFLEET_SPOOL_DIR"})


def test_settings_are_read_from_the_environment() -> None:
    settings = Settings.from_environment(
        {**MINIMUM, "BLUEFLEET_WRITER": "terminal", "BLUEFLEET_SPOOL_LIMIT_BYTES": "5"}
    )
    assert (settings.writer, settings.spool_limit_bytes, settings.fleet_file) == ("terminal", 5, Path("/f"))


def test_every_ioc_is_searched_for_at_its_own_port_and_nothing_else_is() -> None:
    environment: dict[str, str] = {}
    channel_access.prepare(site_with(5064, 5066), environment)
    assert environment["EPICS_CA_ADDR_LIST"] == "10.0.0.1:5064 10.0.0.1:5066"
    assert environment["EPICS_CA_AUTO_ADDR_LIST"] == "NO"


def test_an_ioc_declared_later_asks_for_a_new_environment_and_one_taken_out_does_not() -> None:
    environment: dict[str, str] = {}
    channel_access.prepare(site_with(5064, 5066), environment)
    channel_access.refuse_new_addresses(site_with(5064), environment)
    with pytest.raises(EnvironmentMustReopen, match=r"10\.0\.0\.1:5068"):
        channel_access.refuse_new_addresses(site_with(5064, 5068), environment)


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        ("beamline==1.2", "beamline"),
        ("beamline[extra]>=1", "beamline"),
        ("../packages/beamline/", "beamline"),
        ("beamline @ file:///srv/beamline", "beamline"),
    ],
)
def test_a_package_is_found_by_requirement_or_path(requirement: str, name: str) -> None:
    assert distribution_name(requirement) == name


def test_versions_say_what_takes_part_in_a_run() -> None:
    found = versions(["numpy==1", "no-such-package==3"])
    assert {"bluesky", "ophyd-async", "bluefleet", "numpy"} <= set(found)
    assert "no-such-package" not in found


def test_without_redis_metadata_lives_as_long_as_the_process() -> None:
    assert persistent_metadata(Settings.from_environment(MINIMUM), "lab") == {}


def test_the_console_shows_a_run_as_a_table() -> None:
    lines: list[str] = []
    table = run_table(lines.append)
    start = {"uid": "u", "time": 0.0, "scan_id": 4, "plan_name": "count", "hints": {"dimensions": [(["m"], "primary")]}}
    keys = {name: {"dtype": "number", "shape": [], "source": name, "precision": 2} for name in ("m", "d")}
    descriptor = {
        "uid": "k",
        "run_start": "u",
        "time": 0.0,
        "name": "primary",
        "data_keys": keys,
        "hints": {"d": {"fields": ["d"]}},
    }
    event = {"uid": "e", "descriptor": "k", "seq_num": 1, "time": 0.0, "data": {"m": 1.5, "d": 7.0}, "timestamps": {}}
    stop = {"uid": "s", "run_start": "u", "time": 1.0, "exit_status": "fail", "reason": "why", "num_events": {}}
    for name, document in (("start", start), ("descriptor", descriptor), ("event", event), ("stop", stop)):
        table(name, document)
    text = "\n".join(lines)
    assert "scan_id 4 count" in text
    assert "1.50" in text
    assert "7.00" in text
    assert "ended fail: why" in text
