"""The control machine was rebooted, or its power was cut: `make lab` brings the laboratory back with its data."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from lab_door import ADDRESSES, LEASH, Running, as_root, assert_all_is_well, bluefleet, shell

from patience import ends_in

pytestmark = [pytest.mark.lab, pytest.mark.faults, pytest.mark.timeout(600)]

ENGINE_PIDS = {"dockerd": Path("/var/run/docker.pid"), "containerd": Path("/var/run/docker/containerd/containerd.pid")}


def kill(*pids: int) -> None:
    """End processes as a power cut does."""
    shell(*as_root("kill", "-KILL", *map(str, pids)))


def comm(pid: int) -> str:
    """Name of a process, '' when there is none."""
    path = Path(f"/proc/{pid}/comm")
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def cut_the_power() -> None:
    """Hosts end without being asked to; the engine too, unless it is the system's own, which starts before anybody logs in."""
    names = [f"bluefleet-lab-{host}" for host in ADDRESSES]
    inits = [int(pid) for pid in shell("docker", "inspect", "--format", "{{.State.Pid}}", *names).stdout.split()]
    if Path("/run/systemd/system").is_dir():
        shell("docker", "kill", *names)
        return
    engine = [int(file.read_text()) for name, file in ENGINE_PIDS.items() if comm(int(file.read_text())) == name]
    assert len(engine) == len(ENGINE_PIDS)
    shims = [
        int(re.search(r"^PPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1]) for pid in inits
    ]
    kill(*engine, *shims, *inits)
    end = ends_in(30)
    while left := [pid for pid in (*engine, *inits) if comm(pid)]:
        assert time.monotonic() < end, f"{left} did not end"
        time.sleep(0.1)


def verified(run: str) -> str:
    """The uid of a run that spool, Kafka, Mongo and Tiled agree on."""
    answer = bluefleet("documents", "verify", run, "--json", "--wait", "30")
    assert answer.returncode == 0, answer.stderr
    return str(json.loads(answer.stdout)["run"])


def test_after_a_power_cut_make_lab_brings_the_laboratory_back_with_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tests' tools are the ones in use; `make lab` alone would install fewer.
    monkeypatch.setenv("BLUEFLEET_TOOLS", "dev")
    before = verified("-1")
    cut_the_power()

    # Somebody is impatient, too.
    impatient = Running([*LEASH, "make", "lab"], tmp_path / "stages.json")
    impatient.wait_for("TASK [virtual_host : Virtual hosts run and answer SSH")
    impatient.interrupt()
    interrupted = impatient.finish(30)
    assert interrupted.code != 0
    assert 'make lab stopped in stage "site.yml"' in interrupted.text, interrupted.text[-2000:]
    assert "make lab goes on from there" in interrupted.text

    # One host's root file system did not survive; its pods start before their configuration is there.
    shell("docker", "rm", "--force", "bluefleet-lab-manager")

    again = Running([*LEASH, "make", "lab"], tmp_path / "stages.json").finish(400).well()
    assert_all_is_well()
    assert verified(before) == before
    # And its first scan is the last run, equal everywhere.
    first_scan = re.search(r"documents verify ([0-9a-f]{8})", again.text)
    assert first_scan is not None
    assert verified("-1").startswith(first_scan[1])
