"""The package that the documentation shows is the one that tests install and run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from patience import PATIENCE

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "python" / "tests" / "acquisition" / "beamline7"
PAGE = (ROOT / "docs" / "how-to" / "write-plans.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", ["pyproject.toml", "src/beamline7/plans.py", "src/beamline7/devices.py"])
def test_the_page_shows_the_file_as_it_is(file: str) -> None:
    assert f"\n{(PACKAGE / file).read_text(encoding='utf-8')}```" in PAGE


def test_the_page_tries_it_with_the_versions_of_the_image() -> None:
    lock = (ROOT / "python" / "locks" / "bluesky.txt").read_text(encoding="utf-8")
    pinned = re.search(r"pip install -e \S+ bluesky==(\S+) \"ophyd-async\[ca\]==(\S+)\"", PAGE)
    assert pinned is not None
    assert f"\nbluesky=={pinned[1]} " in lock
    assert f"\nophyd-async=={pinned[2]} " in lock


@pytest.mark.slow
def test_the_plan_is_tried_without_hardware_as_the_page_says() -> None:
    tried = re.search(r"```python\n(from beamline7\.devices.*?)```", PAGE, re.DOTALL)
    assert tried is not None
    program = f"import sys\nsys.path.insert(0, {str(PACKAGE / 'src')!r})\n{tried[1]}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50 * PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("event {") == 3
    assert "'exit_status': 'success'" in done.stdout
