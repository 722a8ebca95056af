"""Ctrl-C ends a run of Ansible, also where the interrupt is lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from patience import ends_in

TOP = Path(__file__).resolve().parents[3]
PROGRAM = Path(sys.executable).with_name("ansible-playbook")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

# The exception comes while Python finalises an object, and nobody hears of it; or something swallows whatever is raised.
FINALISED = """
import time
from pathlib import Path

class Slow:
    def __init__(self, begun):
        self.begun = begun
    def __del__(self):
        Path(self.begun).touch()
        time.sleep(60)

def deaf(value, begun):
    Slow(begun)
    time.sleep(60)
    return value
"""
SWALLOWED = """
import time
from pathlib import Path

def deaf(value, begun):
    end = time.monotonic() + 90
    while time.monotonic() < end:
        try:
            Path(begun).touch()
            time.sleep(1)
        except KeyboardInterrupt:
            pass
    return value
"""
FILTERS = """
class FilterModule:
    def filters(self):
        return {"deaf": deaf}
"""
PLAY = """
- name: Never ends by itself
  hosts: "{{ 'localhost' | deaf('%s') }}"
  gather_facts: false
"""


def interrupted(folder: Path, deaf: str) -> tuple[int, str]:
    """Exit code and stderr of a run that gets one Ctrl-C while it does not hear it."""
    (folder / "filter_plugins").mkdir()
    (folder / "filter_plugins" / "deaf.py").write_text(deaf + FILTERS)
    begun = folder / "begun"
    (folder / "play.yml").write_text(PLAY % begun)
    running = subprocess.Popen(
        [PROGRAM, "-i", "localhost,", folder / "play.yml"],
        cwd=TOP, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        end = ends_in(60)
        while not begun.exists():
            assert running.poll() is None, "it ended"
            assert time.monotonic() < end, "it never began"
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)
        _, said = running.communicate(timeout=40)
    finally:
        running.kill()
    return running.returncode, said


def test_an_interrupt_that_python_drops_ends_the_run_as_any_other(tmp_path: Path) -> None:
    code, said = interrupted(tmp_path, FINALISED)
    assert code == 99, said  # Ansible's own
    assert "User interrupted execution" in said
    assert "not ended" not in said


def test_an_interrupt_that_is_swallowed_ends_the_run_all_the_same(tmp_path: Path) -> None:
    code, said = interrupted(tmp_path, SWALLOWED)
    assert code == 130
    assert "Run it again to finish what it left" in said
