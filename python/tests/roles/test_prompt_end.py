"""Ctrl-C ends a run of Ansible, also where the interrupt is lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
PROGRAM = Path(sys.executable).with_name("ansible-playbook")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

# As if the exception came while Python finalises an object: nobody hears of it.
DEAF = """
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

class FilterModule:
    def filters(self):
        return {"deaf": deaf}
"""
PLAY = """
- name: Never ends by itself
  hosts: "{{ 'localhost' | deaf('%s') }}"
  gather_facts: false
"""


def test_an_interrupt_that_is_lost_ends_the_run_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "filter_plugins").mkdir()
    (tmp_path / "filter_plugins" / "deaf.py").write_text(DEAF)
    begun = tmp_path / "begun"
    (tmp_path / "play.yml").write_text(PLAY % begun)
    running = subprocess.Popen(
        [PROGRAM, "-i", "localhost,", tmp_path / "play.yml"],
        cwd=TOP, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while not begun.exists():
            assert running.poll() is None, "it ended"
            assert time.monotonic() < end, "it never began"
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)
        _, said = running.communicate(timeout=40)
    finally:
        running.kill()
    assert running.returncode == 130
    assert "Run it again to finish what it left" in said
