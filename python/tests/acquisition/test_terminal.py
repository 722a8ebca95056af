"""The start-up as a person's terminal does it, in a process of its own, and which spool it writes."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from bluefleet.acquisition.terminal import free_writer
from bluefleet.documents.spool_lock import WriterLock
from patience import PATIENCE

PROGRAM = """
import json, os, sys
from pathlib import Path
from bluefleet.acquisition import terminal

os.environ.update(terminal.prepare(os.environ, Path(sys.argv[1])))
names = terminal.namespace()
exec("(uid,) = RE(scan([det1], motor, -1, 1, 5))", names)
exec("RE(mv(motor, 2)); RE(count([det, det2, noisy_det]))", names)
exec("RE(grid_scan([det3, det4], jittery_motor1, 0, 1, 2, pseudo1x3, 0, 1, 2))", names)
print("RESULT" + json.dumps({
    "uid": names["uid"], "writer": os.environ["BLUEFLEET_WRITER"], "version": names["RE"].md["versions"]["bluefleet"],
    "motor": names["motor"].position, "reloaded": names["reload_devices"](),
    "names": sorted(name for name in names if not name.startswith("_")),
}))
"""


@pytest.fixture
def site(tmp_path: Path) -> dict[str, str]:
    """What a launcher says, to a terminal of Ada's on a site without nodes."""
    fleet = {"schema_version": 1, "site": "lab", "hosts": {}, "registry": None, "images": {}, "nodes": []}
    (tmp_path / "fleet.yml").write_text(yaml.safe_dump(fleet), encoding="utf-8")
    (tmp_path / "spool").mkdir()
    return {
        **os.environ,
        "BLUEFLEET_FLEET_FILE": str(tmp_path / "fleet.yml"),
        "BLUEFLEET_SPOOL_DIR": str(tmp_path / "spool"),
        "BLUEFLEET_WRITER": "ada",
    }


def typed(program: str, environment: dict[str, str], folder: Path) -> tuple[str, Any]:
    """Run it as a process of its own that ends well: all that it said, and the result in it."""
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        env=environment, capture_output=True, text=True, check=False, timeout=100 * PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(done.stdout.partition("RESULT")[2].splitlines()[0])


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_terminal_has_what_the_worker_has_and_writes_a_spool_of_its_own(site: dict[str, str], tmp_path: Path) -> None:
    said, result = typed(PROGRAM, site, tmp_path)
    assert result["writer"] == "ada"
    assert (tmp_path / "spool" / "ada.sqlite").exists()
    assert result["motor"] == 2
    assert result["reloaded"] == {"joined": [], "left": [], "unreachable": {}}
    assert f"generator scan ['{result['uid'][:8]}'] (scan num: 1)" in said
    offered = set(result["names"])
    assert {
        "RE",
        "bec",
        "bp",
        "bps",
        "db",
        "np",
        "plt",
        "count",
        "grid_scan",
        "det1",
        "det5",
        "motor2",
        "pseudo3x3",
    } < offered
    assert not offered & {"Settings", "channel_access", "load_site", "logging"}


BASELINE_PROGRAM = """
import json, os, sys
from pathlib import Path
from bluefleet.acquisition import terminal

os.environ.update(terminal.prepare(os.environ, Path(sys.argv[1])))
names = terminal.namespace() | {"documents": []}
exec("RE(scan([det1], slit, 0, 3, 2), lambda *document: documents.append(document))", names)
streams = {each["uid"]: each["name"] for name, each in names["documents"] if name == "descriptor"}
read = [each["data"] for name, each in names["documents"] if name == "event" and streams[each["descriptor"]] == "baseline"]
print("RESULT" + json.dumps(read))
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_devices_that_are_declared_for_the_baseline_are_read_when_a_run_starts_and_when_it_ends(
    site: dict[str, str], tmp_path: Path
) -> None:
    declared = [
        {"name": "slit", "class": "ophyd.sim.SynAxis", "baseline": True},
        {"name": "other", "class": "ophyd.sim.SynAxis"},
    ]
    fleet = yaml.safe_load((tmp_path / "fleet.yml").read_text(encoding="utf-8"))
    fleet["images"] = {"ioc": {"reference": "ioc"}}
    instance = {"name": "optics", "image": "ioc", "devices": declared}
    fleet["hosts"] = {"node1": {"address": "127.0.0.1", "groups": ["nodes"]}}
    fleet["nodes"] = [{"name": "node1", "address": "127.0.0.1", "instances": [instance]}]
    (tmp_path / "fleet.yml").write_text(yaml.safe_dump(fleet), encoding="utf-8")
    _, read = typed(BASELINE_PROGRAM, site, tmp_path)
    assert read == [{"slit": 0, "slit_setpoint": 0}, {"slit": 3, "slit_setpoint": 3}]


CHECKOUT_PROGRAM = """
import json, os, sys
from pathlib import Path
from bluefleet.acquisition import terminal

os.environ.update(terminal.prepare(os.environ, Path(sys.argv[1])))
names = terminal.namespace()
import bluesky, event_model
exec("(uid,) = RE(scan([det1], motor, -1, 1, 5))", names)
print("RESULT" + json.dumps([[each.__file__, each.__version__] for each in (bluesky, event_model)]))
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_terminal_measures_with_clones_of_what_it_is_made_of(site: dict[str, str], tmp_path: Path) -> None:
    checkouts = {"bluesky": tmp_path / "bluesky/src", "event_model": tmp_path / "event-model"}
    for name, folder in checkouts.items():
        origin = importlib.util.find_spec(name)
        assert origin is not None
        assert origin.origin is not None
        # A clone has all of the package but what the build makes.
        ignored = shutil.ignore_patterns("_version.py", "__pycache__", "tests")
        shutil.copytree(Path(origin.origin).parent, folder / name, ignore=ignored)
    environment = {
        **site,
        "PYTHONPATH": os.pathsep.join([*map(str, checkouts.values()), *filter(None, sys.path)]),
        "BLUEFLEET_CHECKOUTS": json.dumps(dict.fromkeys(["bluesky", "event-model"], "checkout")),
    }
    _, result = typed(CHECKOUT_PROGRAM, environment, tmp_path)
    assert result == [
        [str(folder / name / "__init__.py"), f"{version(name)}+checkout"] for name, folder in checkouts.items()
    ]


def test_each_terminal_of_a_person_has_a_spool_of_its_own(tmp_path: Path) -> None:
    assert free_writer(tmp_path, "ada") == "ada"
    first = WriterLock.acquire(tmp_path / "ada.lock", timeout=0)
    assert free_writer(tmp_path, "ada") == "ada-2"
    second = WriterLock.acquire(tmp_path / "ada-2.lock", timeout=0)
    assert free_writer(tmp_path, "ada") == "ada-3"
    first.release()
    assert free_writer(tmp_path, "ada") == "ada"
    second.release()
