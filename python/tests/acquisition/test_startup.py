"""The start-up as the queue's worker does it: in a process of its own, with a real IOC and a real spool."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

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


@pytest.mark.timeout(120)
def test_devices_join_and_leave_an_open_environment_and_a_dead_one_stops_nobody(iocs: Any, tmp_path: Path) -> None:
    fleet = {
        "schema_version": 1,
        "site": "lab",
        "hosts": {"node1": {"address": "127.0.0.1", "groups": ["nodes"]}},
        "registry": None,
        "images": {"ioc": {"reference": "ioc"}},
        "nodes": [
            {
                "name": "node1",
                "address": "127.0.0.1",
                "instances": [{"name": "mini", "image": "ioc", "channel_access_port": iocs.beamline.port}],
            }
        ],
    }
    (tmp_path / "fleet.yml").write_text(yaml.safe_dump(fleet), encoding="utf-8")
    (tmp_path / "spool").mkdir()
    registry = tmp_path / "devices.json"
    pinhole, axis = item("pinhole", "Detector", "mini:ph:"), item("motor_ph", "Axis", "mini:ph:")
    later = write_registry(registry, pinhole, item("beam_current", "ReadOnlySignal", "mini:current"))
    (tmp_path / "later.py").write_text(f"open({str(registry)!r}, 'w').write({later!r})", encoding="utf-8")
    write_registry(registry, pinhole, axis, item("ghost", "Axis", "nobody:"))
    environment = {
        **os.environ,
        "BLUEFLEET_FLEET_FILE": str(tmp_path / "fleet.yml"),
        "BLUEFLEET_DEVICES_FILE": str(registry),
        "BLUEFLEET_SPOOL_DIR": str(tmp_path / "spool"),
        "BLUEFLEET_CONNECTIONS_FILE": str(tmp_path / "connections.json"),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "later.py")],
        env=environment, capture_output=True, text=True, check=False, timeout=100,
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
