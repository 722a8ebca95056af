"""From the registry's file to device objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bluefleet.devices.loading import RegistryUnreadable, load, read_registry

pytestmark = pytest.mark.filterwarnings("default")


def registry(path: Path, **devices: tuple[str, str]) -> Path:
    items: dict[str, dict[str, Any]] = {
        name: {
            "_id": name,
            "name": name,
            "type": "OphydItem",
            "active": True,
            "device_class": device_class,
            "prefix": prefix,
            "args": ["{{prefix}}"],
            "kwargs": {"name": "{{name}}"},
        }
        for name, (device_class, prefix) in devices.items()
    }
    path.write_text(json.dumps(items), encoding="utf-8")
    return path


def test_devices_get_their_names_and_prefixes(tmp_path: Path) -> None:
    path = registry(tmp_path / "devices.json", motor=("bluefleet.devices.Axis", "mini:ph:"))
    loaded = load(path)
    assert loaded.refused == {}
    assert loaded.devices["motor"].name == "motor"
    assert loaded.devices["motor"].position.source == "ca://mini:ph:mtr"


def test_a_class_that_cannot_be_made_is_named_and_stops_no_other(tmp_path: Path) -> None:
    path = registry(
        tmp_path / "devices.json",
        motor=("bluefleet.devices.Axis", "mini:ph:"),
        away=("beamline_seven.Monochromator", "b7:"),
        wrong=("bluefleet.devices.Nope", "b7:"),
        raising=("fractions.Fraction", "no number"),
    )
    loaded = load(path)
    assert set(loaded.devices) == {"motor"}
    assert "beamline_seven" in loaded.refused["away"]
    assert "Nope" in loaded.refused["wrong"]
    assert "raised" in loaded.refused["raising"]


def test_a_changed_declaration_compares_different_and_others_equal(tmp_path: Path) -> None:
    axis = "bluefleet.devices.Axis"
    before = read_registry(registry(tmp_path / "a.json", one=(axis, "one:"), two=(axis, "two:")))
    after = read_registry(registry(tmp_path / "b.json", one=(axis, "one:"), two=(axis, "moved:")))
    assert before["one"] == after["one"]
    assert before["two"] != after["two"]


def test_no_registry_yet_is_no_devices(tmp_path: Path) -> None:
    assert read_registry(tmp_path / "devices.json") == {}


def test_a_broken_registry_is_named_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "devices.json").write_text("{", encoding="utf-8")
    with pytest.raises(RegistryUnreadable, match=r"devices\.json.*bluefleet apply"):
        read_registry(tmp_path / "devices.json")
