"""What the targets of the Makefile set up: the Makefile in a checkout whose programs only note their calls."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bluefleet.checkout import find_checkout
from patience import PATIENCE


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """One of which nothing is there but the Makefile."""
    shutil.copy(find_checkout() / "Makefile", tmp_path)
    (tmp_path / ".ci").mkdir()
    for name in ("bootstrap", "with-engine"):
        program = tmp_path / ".ci" / name
        program.write_text(f'#!/bin/sh\necho "{name} $1" >>{tmp_path}/notes\n')
        program.chmod(0o755)
    return tmp_path


def make(checkout: Path, target: str, **more: str) -> list[str]:
    """The calls in their order."""
    around = {name: value for name, value in os.environ.items() if name != "BLUEFLEET_TOOLS"}
    subprocess.run(
        ["make", target], cwd=checkout, env=around | more, check=True, capture_output=True, timeout=20 * PATIENCE
    )
    return (checkout / "notes").read_text().splitlines()


def test_images_need_the_tools_of_a_control_machine_and_no_more(checkout: Path) -> None:
    assert make(checkout, "images") == ["bootstrap control", "with-engine .venv/bin/ansible-playbook"]


def test_within_a_run_of_tests_images_take_the_tools_that_are_there(checkout: Path) -> None:
    # Others would be put into the .venv that tests run from meanwhile.
    assert make(checkout, "images", BLUEFLEET_TOOLS="dev")[0] == "bootstrap dev"
