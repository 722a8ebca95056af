"""What RunEngines of a site share, and what stays with each of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bluesky import RunEngine
from bluesky.plans import count
from ophyd.sim import det

from bluefleet.acquisition.metadata import run_metadata
from bluefleet.acquisition.run_metadata import RunMetadata
from bluefleet.acquisition.settings import Settings
from bluefleet.model import Site


class Counting(dict[str, Any]):
    """A store that counts by itself, as Redis does."""

    def count_up(self, key: str) -> int:
        self[key] = self.get(key, 0) + 1
        return self[key]


def run_engine(metadata: Any) -> RunEngine:
    made = RunEngine(metadata)
    made.scan_id_source = metadata.next_scan_id
    return made


def test_the_scan_id_goes_on_from_one_run_engine_to_the_next() -> None:
    shared = Counting()
    found: list[int] = []
    for version in ("1", "2"):
        engine = run_engine(RunMetadata(shared, {"versions": {"bluesky": version}}))
        engine(count([det]), lambda _, document: found.append(document["scan_id"]) if "scan_id" in document else None)
    assert found == [1, 2]
    assert shared == {"scan_id": 2}, "which versions a process has is its own"


def test_run_engines_that_start_at_once_get_different_scan_ids() -> None:
    shared = Counting()
    one, other = RunMetadata(shared, {}), RunMetadata(shared, {})
    mine, theirs = one.next_scan_id(), other.next_scan_id()
    other["scan_id"] = theirs
    one["scan_id"] = mine
    assert (one["scan_id"], other["scan_id"], one.next_scan_id()) == (1, 2, 3)


def test_what_a_person_writes_is_everybodys() -> None:
    shared = Counting()
    one = RunMetadata(shared, {"site": "lab"})
    one["sample"] = "Fe foil"
    one["scan_id"] = 100
    assert shared == {"sample": "Fe foil", "scan_id": 100}
    assert one.next_scan_id() == 101
    assert dict(one) == {"site": "lab", "sample": "Fe foil", "scan_id": 101}
    del one["sample"]
    assert "sample" not in shared


def test_without_a_store_that_counts_it_counts_itself() -> None:
    one = RunMetadata({}, {})
    for expected in (1, 2):
        one["scan_id"] = one.next_scan_id()
        assert one["scan_id"] == expected


@pytest.mark.parametrize("desktop", ["office", ""])
def test_a_run_of_a_terminal_names_its_desktop_and_one_of_the_queue_does_not(tmp_path: Path, desktop: str) -> None:
    files = {f"BLUEFLEET_{name}": str(tmp_path) for name in ("FLEET_FILE", "DEVICES_FILE", "SPOOL_DIR")}
    settings = Settings.from_environment(files | {"BLUEFLEET_DESKTOP": desktop})
    site = {"schema_version": 1, "site": "lab", "hosts": {}, "registry": None, "images": {}, "nodes": []}
    engine = run_engine(run_metadata(settings, Site.model_validate(site)))
    starts: list[dict[str, Any]] = []
    engine(count([det]), {"start": lambda _, document: starts.append(document)})
    assert starts[0].get("desktop", "") == desktop


def test_what_a_checkout_takes_the_place_of_takes_no_part_in_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "dls_seven-7.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: dls-seven\nVersion: 7.1\n", encoding="utf-8")
    (about / "top_level.txt").write_text("seven_eight", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    files = {f"BLUEFLEET_{name}": str(tmp_path) for name in ("FLEET_FILE", "DEVICES_FILE", "SPOOL_DIR")}
    site: dict[str, Any] = {
        "schema_version": 1,
        "site": "lab",
        "hosts": {},
        "registry": None,
        "images": {},
        "nodes": [],
    }
    site["acquisition"] = {"packages": ["dls.seven==7.1"]}
    versions: list[dict[str, str]] = []
    for checkouts in ("{}", '{"seven-eight": "checkout ~/seven at 1a2b"}'):
        settings = Settings.from_environment(files | {"BLUEFLEET_CHECKOUTS": checkouts})
        versions.append(dict(run_metadata(settings, Site.model_validate(site)))["versions"])
    installed, checked_out = versions
    assert installed["dls.seven"] == "7.1"
    assert checked_out.keys() - installed.keys() == {"seven-eight"}
    assert installed.keys() - checked_out.keys() == {"dls.seven"}
