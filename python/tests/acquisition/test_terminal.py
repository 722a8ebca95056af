"""The start-up as a person's terminal does it, in a process of its own, and which spool it writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bluefleet.acquisition.terminal import free_writer
from bluefleet.documents.spool_lock import WriterLock

PROGRAM = """
import json, os, sys
from pathlib import Path
from bluefleet.acquisition import terminal

os.environ.update(terminal.prepare(os.environ, Path(sys.argv[1])))
names = terminal.namespace()
exec("(uid,) = RE(scan([det1], motor, -1, 1, 5))", names)
exec("RE(mv(motor, 2)); RE(count([det, det2, noisy_det]))", names)
print("RESULT" + json.dumps({
    "uid": names["uid"], "writer": os.environ["BLUEFLEET_WRITER"], "version": names["RE"].md["versions"]["bluefleet"],
    "motor": names["motor"].position, "reloaded": names["reload_devices"](),
    "names": sorted(name for name in names if not name.startswith("_")),
}))
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_terminal_has_what_the_worker_has_and_writes_a_spool_of_its_own(tmp_path: Path) -> None:
    fleet = {"schema_version": 1, "site": "lab", "hosts": {}, "registry": None, "images": {}, "nodes": []}
    (tmp_path / "fleet.yml").write_text(yaml.safe_dump(fleet), encoding="utf-8")
    (tmp_path / "spool").mkdir()
    environment = {
        **os.environ,
        "BLUEFLEET_FLEET_FILE": str(tmp_path / "fleet.yml"),
        "BLUEFLEET_SPOOL_DIR": str(tmp_path / "spool"),
        "BLUEFLEET_WRITER": "ada",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env=environment, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.partition("RESULT")[2].splitlines()[0])
    assert result["writer"] == "ada"
    assert (tmp_path / "spool" / "ada.sqlite").exists()
    assert result["motor"] == 2
    assert result["reloaded"] == {"joined": [], "left": [], "unreachable": {}}
    assert f"generator scan ['{result['uid'][:8]}'] (scan num: 1)" in done.stdout
    offered = set(result["names"])
    assert {"RE", "bec", "bp", "bps", "db", "np", "plt", "count", "grid_scan", "det1", "motor2"} < offered
    assert not offered & {"Settings", "channel_access", "load_site", "logging"}


def test_each_terminal_of_a_person_has_a_spool_of_its_own(tmp_path: Path) -> None:
    assert free_writer(tmp_path, "ada") == "ada"
    first = WriterLock.acquire(tmp_path / "ada.lock", timeout=0)
    assert free_writer(tmp_path, "ada") == "ada-2"
    second = WriterLock.acquire(tmp_path / "ada-2.lock", timeout=0)
    assert free_writer(tmp_path, "ada") == "ada-3"
    first.release()
    assert free_writer(tmp_path, "ada") == "ada"
    second.release()
