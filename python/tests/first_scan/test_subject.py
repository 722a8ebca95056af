"""A first scan looks at what is simulated, and at nothing else."""

from typing import Any

from bluefleet.first_scan import Pinhole, Readings, subject_of
from bluefleet.model import Site

BEAMLINE: dict[str, Any] = {
    "name": "beamline",
    "image": "ioc",
    "command": ["mini_beamline", "--prefix", "b:"],
    "devices": [
        {"name": "slit", "class": "bluefleet.devices.Detector", "prefix": "b:slit:"},
        {"name": "hole", "class": "bluefleet.devices.Detector", "prefix": "b:ph:"},
        {"name": "axis", "class": "bluefleet.devices.Axis", "prefix": "b:ph:"},
    ],
}
WALK: dict[str, Any] = {
    "name": "walk",
    "image": "ioc",
    "devices": [{"name": "walk", "class": "bluefleet.devices.RandomWalk", "prefix": "w:"}],
}
REAL: dict[str, Any] = {
    "name": "real",
    "image": "real",
    "command": ["--prefix", "b:"],
    "devices": BEAMLINE["devices"],
    "hardware_devices": ["/dev/ttyUSB0"],
}


def site(*instances: dict[str, Any], simulate: bool = False) -> Site:
    node = {"name": "node1", "address": "10.0.0.1", "simulate": simulate, "instances": list(instances)}
    return Site.model_validate(
        {"schema_version": 1, "site": "s", "hosts": {}, "registry": None, "images": {}, "nodes": [node]}
    )


def test_a_pinhole_is_known_by_its_ioc_and_not_by_its_name() -> None:
    assert subject_of(site(BEAMLINE)) == Pinhole("axis", "hole", None)
    assert subject_of(site(BEAMLINE, WALK)) == Pinhole("axis", "hole", "walk")


def test_a_twin_may_be_the_beamline() -> None:
    twin = {**REAL, "simulated": {"image": "ioc", "command": BEAMLINE["command"]}}
    assert subject_of(site(twin, simulate=True)) == Pinhole("axis", "hole", None)
    assert subject_of(site(twin)) is None


def test_without_a_beamline_each_twin_is_read() -> None:
    twin = {**WALK, "simulated": {}}
    assert subject_of(site(twin, REAL, {**twin, "name": "bare", "devices": []}, simulate=False)) is None
    assert subject_of(site({**twin, "simulate": True}, REAL)) == Readings(("walk",))


def test_real_hardware_is_never_looked_at() -> None:
    assert subject_of(site(REAL)) is None
