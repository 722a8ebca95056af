"""The one summary at the end of `make test`: what a test that was tried twice comes to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bluefleet.checkout import find_checkout
from patience import PATIENCE

SUITE = """
from pathlib import Path
import pytest

def test_late():
    tries = Path(__file__).with_name("tries")
    tries.write_text((tries.read_text() if tries.exists() else "") + "x")
    assert tries.read_text() == "xx"

def test_wrong():
    {wrong}

def test_right():
    pass

@pytest.fixture
def late():
    yield
    tries = Path(__file__).with_name("ends")
    tries.write_text((tries.read_text() if tries.exists() else "") + "x")
    assert tries.read_text() == "xx"

def test_that_ends_late(late):
    pass
"""


def summary(folder: Path, wrong: str, more: str = "") -> subprocess.CompletedProcess[str]:
    """Of a run in which one test passes at its second try."""
    (folder / "test_suite.py").write_text(SUITE.format(wrong=wrong) + more)
    report = folder / "report.xml"
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--reruns", "1", "--rootdir", str(folder)]
    subprocess.run(
        [*tests, "--junitxml", str(report), str(folder)], check=False, capture_output=True, timeout=50 * PATIENCE
    )
    adds_up = str(find_checkout() / ".ci" / "test_summary.py")
    return subprocess.run(
        [sys.executable, adds_up, str(report)], check=False, capture_output=True, text=True, timeout=20 * PATIENCE
    )


def test_one_that_passes_at_its_second_try_is_named_and_ends_nothing(tmp_path: Path) -> None:
    told = summary(tmp_path, "pass")
    assert told.returncode == 0
    assert "RERUN test_suite::test_late: it failed, and passed" in told.stdout
    assert "RERUN test_suite::test_that_ends_late: it failed, and passed" in told.stdout
    assert "4 passed, 2 rerun in" in told.stdout


@pytest.mark.parametrize(
    "wrong",
    ["assert False", "test_late.tries = getattr(test_late, 'tries', 0) + 1; assert test_late.tries > 1; pytest.skip()"],
)
def test_one_that_fails_twice_or_is_then_skipped_ends_the_run(wrong: str, tmp_path: Path) -> None:
    told = summary(tmp_path, wrong)
    assert told.returncode == 1
    assert "FAILED test_suite::test_wrong" in told.stdout
    assert "1 failed, 3 passed, 3 rerun in" in told.stdout


ENDS_WRONG = """

@pytest.fixture
def ends_wrong():
    yield
    assert False

{marked}
def test_wrong_to_the_end(ends_wrong):
    assert False
"""


@pytest.mark.parametrize(
    ("marked", "counted"), [("@pytest.mark.flaky(reruns=0)", "2 rerun in"), ("", "3 rerun in")], ids=["once", "twice"]
)
def test_one_that_fails_and_whose_end_fails_is_both_and_no_second_try(
    tmp_path: Path, marked: str, counted: str
) -> None:
    told = summary(tmp_path, "pass", ENDS_WRONG.format(marked=marked))
    assert told.returncode == 1
    assert "FAILED test_suite::test_wrong_to_the_end" in told.stdout
    assert "ERROR test_suite::test_wrong_to_the_end" in told.stdout
    assert f"1 failed, 4 passed, 1 error, {counted}" in told.stdout
