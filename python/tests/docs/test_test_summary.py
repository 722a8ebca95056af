"""The one summary at the end of `make test`: what a test that was tried twice comes to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bluefleet.checkout import find_checkout

SUITE = """
from pathlib import Path

def test_late():
    tries = Path(__file__).with_name("tries")
    tries.write_text((tries.read_text() if tries.exists() else "") + "x")
    assert tries.read_text() == "xx"

def test_wrong():
    assert {wrong}
"""


def summary(folder: Path, *, wrong: bool) -> subprocess.CompletedProcess[str]:
    """Of a run in which one test passes at its second try."""
    (folder / "test_suite.py").write_text(SUITE.format(wrong=not wrong))
    report = folder / "report.xml"
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--reruns", "1", "--rootdir", str(folder)]
    subprocess.run([*tests, "--junitxml", str(report), str(folder)], check=False, capture_output=True, timeout=50)
    adds_up = str(find_checkout() / ".ci" / "test_summary.py")
    return subprocess.run(
        [sys.executable, adds_up, str(report)], check=False, capture_output=True, text=True, timeout=20
    )


def test_one_that_passes_at_its_second_try_is_named_and_ends_nothing(tmp_path: Path) -> None:
    told = summary(tmp_path, wrong=False)
    assert told.returncode == 0
    assert "RERUN test_suite::test_late: it failed, and passed" in told.stdout
    assert "2 passed, 1 rerun in" in told.stdout


def test_one_that_fails_twice_ends_the_run(tmp_path: Path) -> None:
    told = summary(tmp_path, wrong=True)
    assert told.returncode == 1
    assert "FAILED test_suite::test_wrong" in told.stdout
    assert "1 failed, 1 passed, 2 rerun in" in told.stdout
