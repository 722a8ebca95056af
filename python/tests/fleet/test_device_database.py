"""The device database is happi's, says the same for the same site, and is written whole."""

import json
import threading
from pathlib import Path

import pytest
import yaml
from happi import Client

from bluefleet.fleet import Settings, StateUnusable
from bluefleet.fleet import _devices as devices
from bluefleet.fleet._devices import sync
from bluefleet.fleet._whole_file import write_whole
from bluefleet.model import Site, device_database
from role_files import load_role_file

SITE = Site.model_validate(
    {
        "schema_version": 1,
        "site": "lab",
        "hosts": {},
        "registry": None,
        "images": {"ioc": {"reference": "ioc"}},
        "nodes": [
            {
                "name": "node1",
                "address": "10.0.0.1",
                "instances": [
                    {
                        "name": "mini-beamline",
                        "image": "ioc",
                        "channel_access_port": 5064,
                        "devices": [
                            {"name": "motor_ph", "class": "bluefleet.devices.Axis", "prefix": "mini:ph:"},
                            {"name": "clock", "class": "site.devices.Clock", "arguments": {"period": 2}},
                        ],
                    }
                ],
            }
        ],
    }
)


def test_happi_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "devices.json"
    file.write_text(device_database(SITE))
    found = {result["name"]: result for result in Client(path=str(file)).search()}
    assert set(found) == {"motor_ph", "clock"}
    axis = found["motor_ph"]
    assert (axis["device_class"], axis["prefix"], axis["args"]) == (
        "bluefleet.devices.Axis",
        "mini:ph:",
        ["{{prefix}}"],
    )
    assert axis["kwargs"] == {"name": "{{name}}"}
    assert found["clock"]["args"] == []
    assert found["clock"]["kwargs"] == {"name": "{{name}}", "period": 2}


def test_it_tells_where_a_device_is() -> None:
    axis = json.loads(device_database(SITE))["motor_ph"]
    assert (axis["node"], axis["instance"], axis["channel_access"]) == ("node1", "mini-beamline", "10.0.0.1:5064")


def test_the_same_site_gives_the_same_text(tmp_path: Path) -> None:
    settings = Settings(etc=tmp_path, lib=tmp_path)
    assert sync(SITE, settings, check=False).changed
    assert not sync(SITE, settings, check=False).changed
    assert settings.devices_file.stat().st_mode & 0o777 == 0o644


def test_check_writes_nothing(tmp_path: Path) -> None:
    settings = Settings(etc=tmp_path, lib=tmp_path)
    assert sync(SITE, settings, check=True).changed
    assert not settings.devices_file.exists()


@pytest.mark.parametrize("check", [True, False])
def test_a_site_without_acquisition_has_nobody_to_tell(tmp_path: Path, check: bool) -> None:
    assert sync(SITE, Settings(etc=tmp_path, lib=tmp_path), check=check).state == "none"


def test_ansible_writes_the_same_for_a_worker_on_another_host() -> None:
    filters = load_role_file("fleet/filter_plugins/devices.py")
    site = SITE.model_copy(update={"hosts": {}, "nodes": []})
    text = yaml.safe_dump(site.model_dump(mode="json", by_alias=True))
    assert filters.device_database(text) == device_database(site)


def test_one_brings_it_to_the_worker_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(etc=tmp_path / "etc", lib=tmp_path / "lib")
    other = SITE.model_copy(update={"nodes": []})
    said: list[str] = []
    writing, both = threading.Event(), threading.Event()

    def slowly(path: Path, text: str) -> None:
        said.append("begins")
        if writing.is_set():
            both.set()
        writing.set()
        # Somebody who can't come between takes longer than this.
        both.wait(0.3)
        write_whole(path, text)
        said.append("ends")

    monkeypatch.setattr(devices, "write_whole", slowly)
    first = threading.Thread(target=sync, args=[SITE, settings], kwargs={"check": False})
    first.start()
    assert writing.wait(5)
    sync(other, settings, check=False)
    first.join(5)
    assert said == ["begins", "ends"] * 2
    assert settings.devices_file.read_text() == device_database(other)


def test_a_folder_that_can_t_be_written_is_told_with_what_to_do(tmp_path: Path) -> None:
    settings = Settings(etc=tmp_path / "etc", lib=tmp_path / "lib")
    settings.lib.mkdir()
    settings.devices_file.parent.write_text("a file is in the way")
    with pytest.raises(StateUnusable, match="File exists") as caught:
        sync(SITE, settings, check=False)
    assert "bluefleet apply" in caught.value.remedy
