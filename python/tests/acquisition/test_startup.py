"""The start-up as the queue's worker does it: in a process of its own, with a real IOC and a real spool."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from patience import PATIENCE

PROGRAM = """
import json, sys
import bluefleet.acquisition.startup as worker
import bluesky.plans as bp

def devices(names):
    return sorted(name for name in names if name in vars(worker))

names = ["pinhole", "motor_ph", "beam_current", "ghost"]
before = devices(names)
(uid,) = worker.RE(bp.count([worker.pinhole, worker.det1], 2))
exec(open(sys.argv[1]).read())
changed = worker.reload_devices(vars(worker))
print("RESULT" + json.dumps({
    "before": before, "after": devices(names), "changed": changed, "uid": uid,
    "versions": sorted(worker.RE.md["versions"]), "scan_id": worker.RE.md["scan_id"],
}))
"""


def item(name: str, device_class: str, prefix: str) -> dict[str, Any]:
    return {
        "_id": name,
        "name": name,
        "type": "OphydItem",
        "active": True,
        "device_class": f"bluefleet.devices.{device_class}",
        "prefix": prefix,
        "args": ["{{prefix}}"],
        "kwargs": {"name": "{{name}}"},
    }


def write_registry(path: Path, *items: dict[str, Any]) -> str:
    path.write_text(json.dumps({each["name"]: each for each in items}), encoding="utf-8")
    return path.read_text(encoding="utf-8")


def surroundings(iocs: Any, folder: Path, acquisition: dict[str, Any]) -> dict[str, str]:
    """The environment of a worker, after the files that it names were written."""
    fleet = {
        "schema_version": 1,
        "site": "lab",
        "hosts": {"node1": {"address": "127.0.0.1", "groups": ["nodes"]}},
        "registry": None,
        "images": {"ioc": {"reference": "ioc"}},
        "acquisition": acquisition,
        "nodes": [
            {
                "name": "node1",
                "address": "127.0.0.1",
                "instances": [{"name": "mini", "image": "ioc", "channel_access_port": iocs.beamline.port}],
            }
        ],
    }
    (folder / "fleet.yml").write_text(yaml.safe_dump(fleet), encoding="utf-8")
    (folder / "spool").mkdir()
    return {
        **os.environ,
        "BLUEFLEET_FLEET_FILE": str(folder / "fleet.yml"),
        "BLUEFLEET_DEVICES_FILE": str(folder / "devices.json"),
        "BLUEFLEET_SPOOL_DIR": str(folder / "spool"),
        "BLUEFLEET_CONNECTIONS_FILE": str(folder / "connections.json"),
    }


def of_class(found: dict[str, Any], device_class: str) -> dict[str, Any]:
    """The same device, of a class of a site's own package."""
    return {**found, "device_class": device_class}


SITE_PROGRAM = """
import json
import bluefleet.acquisition.startup as worker

(uid, *_) = worker.RE(worker.count_with_shutter(worker.spot, [worker.det1], 2))
print("RESULT" + json.dumps({
    "uid": uid, "offered": worker.count_with_shutter.__module__, "count": worker.count.__module__,
    "devices": sorted(name for name in ("spot", "count", "motor") if name in vars(worker)),
    "motor": type(worker.motor).__module__, "versions": worker.RE.md["versions"],
}))
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the package of a site, installed as the image build does it."""
    source = shutil.copytree(Path(__file__).parent / "beamline7", tmp_path / "source")
    # Nothing from outside: what builds it is in this environment.
    command = ["uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation"]
    command += ["--python", sys.executable, "--target", str(tmp_path / "installed"), str(source)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, env={**os.environ, "PATH": path}, check=True, timeout=50 * PATIENCE)
    return tmp_path / "installed"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_plans_and_device_classes_of_the_sites_package_are_in_the_worker(
    iocs: Any, tmp_path: Path, installed: Path
) -> None:
    modules = ["beamline7.plans", "beamline7.lost", "seven_plans"]
    (installed / "seven_plans.py").write_text("def count(detectors):\n    yield\n", encoding="utf-8")
    registry = tmp_path / "devices.json"
    write_registry(
        registry,
        of_class(item("spot", "Spot", "mini:dot:"), "beamline7.devices.Spot"),
        item("count", "ReadOnlySignal", "mini:current"),
        item("motor", "Axis", "mini:ph:"),
    )
    environment = surroundings(iocs, tmp_path, {"packages": ["beamline7==1.0.0"], "plans": modules})
    environment["PYTHONPATH"] = f"{installed}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "-c", SITE_PROGRAM],
        env=environment, capture_output=True, text=True, check=False, timeout=100 * PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.partition("RESULT")[2])
    assert f"run {result['uid']} ended success" in done.stdout
    assert result["offered"] == "beamline7.plans"
    assert result["versions"]["beamline7"] == "1.0.0"
    # One that is broken stops no other, and a name is nobody else's.
    assert "there is no module beamline7.lost in this image" in done.stderr
    assert "plan count of seven_plans is not available: this project (bluesky.plans) has the name count" in done.stderr
    assert result["count"] == "bluesky.plans"
    assert "device count is not available: the name count is that of function count of bluesky.plans" in done.stderr
    assert result["motor"] == "bluefleet.devices.epics", "a simulated device makes way for the site's own"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_devices_join_and_leave_an_open_environment_and_a_dead_one_stops_nobody(iocs: Any, tmp_path: Path) -> None:
    registry = tmp_path / "devices.json"
    pinhole, axis = item("pinhole", "Detector", "mini:ph:"), item("motor_ph", "Axis", "mini:ph:")
    later = write_registry(registry, pinhole, item("beam_current", "ReadOnlySignal", "mini:current"))
    (tmp_path / "later.py").write_text(f"open({str(registry)!r}, 'w').write({later!r})", encoding="utf-8")
    write_registry(registry, pinhole, axis, item("ghost", "Axis", "nobody:"))
    environment = surroundings(iocs, tmp_path, {})
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "later.py")],
        env=environment, capture_output=True, text=True, check=False, timeout=100 * PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.partition("RESULT")[2])
    assert result["before"] == ["ghost", "motor_ph", "pinhole"]
    assert result["after"] == ["beam_current", "pinhole"]
    assert result["changed"] == {"joined": ["beam_current"], "left": ["ghost", "motor_ph"], "unreachable": {}}
    assert "device ghost is not available: no answer from nobody:mtr, nobody:vel" in done.stderr
    assert result["scan_id"] == 1
    assert "bluefleet" in result["versions"]
    assert f"run {result['uid']} ended success" in done.stdout
    assert (tmp_path / "spool" / "worker.sqlite").exists()
    states = json.loads((tmp_path / "connections.json").read_text(encoding="utf-8"))["devices"]
    assert {name: state["connected"] for name, state in states.items()} == {"beam_current": True, "pinhole": True}
