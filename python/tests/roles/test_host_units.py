"""The module that runs units: which files are newer than what a unit has read."""

import os
from pathlib import Path
from types import ModuleType

STARTED = {"ExecMainStartTimestamp": "Sat 2026-11-21 00:09:04.500000 UTC", "ActiveEnterTimestamp": ""}
STARTED_AT = 1795219744.5


def test_a_unit_has_read_its_files_when_it_started(host_units: ModuleType) -> None:
    assert host_units.Units.last_read(STARTED, None) == STARTED_AT


def test_a_unit_that_was_reloaded_has_read_them_when_it_touched_its_stamp(
    host_units: ModuleType, tmp_path: Path
) -> None:
    stamp = tmp_path / "loaded"
    assert host_units.Units.last_read(STARTED, str(stamp)) == STARTED_AT
    stamp.touch()
    os.utime(stamp, (STARTED_AT + 60, STARTED_AT + 60))
    assert host_units.Units.last_read(STARTED, str(stamp)) == STARTED_AT + 60


def test_a_unit_that_never_ran_has_read_nothing(host_units: ModuleType) -> None:
    assert host_units.Units.last_read({"ActiveEnterTimestamp": ""}, None) is None
