"""The rehearsal of inventories/example that is up: .ci/test makes it, and takes it down after these."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bluefleet.checkout import find_checkout
from patience import PATIENCE

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(120)]

TOP = find_checkout()
FOLDER = TOP / ".cache" / "rehearsal" / "example"
NETWORK = "bluefleet-rehearsal-example"
BLUEFLEET = Path(sys.executable).with_name("bluefleet")


def bluefleet(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BLUEFLEET), "-i", str(FOLDER), *words],
        cwd=TOP, capture_output=True, text=True, timeout=100 * PATIENCE, check=False,
    )  # fmt: skip


def docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, timeout=30 * PATIENCE, check=False)


def test_every_instance_is_its_twin_and_every_device_answers() -> None:
    done = bluefleet("status", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    instances = {each["name"]: each for node in report["nodes"] for each in node["instances"]}
    assert instances.keys() == {"sample-camera", "scope", "optics-motors", "practice"}
    assert {each["simulated"] for each in instances.values()} == {"simulated by the inventory"}
    assert [name for each in instances.values() for name in each["devices_silent"]] == []


def test_the_first_scan_s_documents_are_everywhere() -> None:
    done = bluefleet("documents", "verify", "-1", "--wait", "20")
    assert done.returncode == 0, done.stdout + done.stderr


def test_hosts_reach_each_other_and_their_network_leads_nowhere() -> None:
    assert docker("network", "inspect", "--format", "{{.Internal}}", NETWORK).stdout.strip() == "true"
    greeting = docker(
        "exec", f"{NETWORK}-bl7-optics", "timeout", "5", "bash", "-c", "head -c 4 </dev/tcp/172.30.78.10/22"
    )
    assert greeting.stdout == "SSH-"
