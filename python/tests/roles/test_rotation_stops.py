"""A rotation goes no further when a host was lost on the way: the next phase would cut it off."""

import subprocess
from pathlib import Path

import pytest
import yaml

from ansible_runs import TOP, run_playbook

PLAYBOOKS = TOP / "playbooks"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

INVENTORY = """\
manager: {hosts: {desk: }}
nodes: {hosts: {near: }}
desktops: {hosts: {far: }}
all: {vars: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}}
"""
PHASES = f"""\
- name: Earlier step
  hosts: manager:nodes:desktops
  gather_facts: false
  tasks:
    - ansible.builtin.fail: {{msg: lost here}}
      when: inventory_hostname == lost | default('')
- ansible.builtin.import_playbook: {PLAYBOOKS}/certificate_hosts.yml
- name: Next step
  hosts: manager:nodes:desktops
  gather_facts: false
  tasks:
    - ansible.builtin.debug: {{msg: next phase}}
"""


def rotate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "hosts.yml").write_text(INVENTORY)
    (folder / "phases.yml").write_text(PHASES)
    return run_playbook(folder / "hosts.yml", folder / "phases.yml", *arguments)


@pytest.mark.parametrize("arguments", [("-e", "lost=far"), ("--limit", "desk,near")], ids=["failed", "limited"])
def test_a_host_that_missed_a_step_stops_the_rotation_by_name(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = rotate(tmp_path, *arguments)
    assert done.returncode != 0
    assert "far failed in an earlier step" in " ".join((done.stdout + done.stderr).split())
    assert "next phase" not in done.stdout


def test_a_rotation_that_lost_nobody_goes_on(tmp_path: Path) -> None:
    done = rotate(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("next phase") == 3


def test_hosts_are_counted_before_each_phase_and_after_the_last() -> None:
    def imports(name: str) -> list[str]:
        return [
            play["ansible.builtin.import_playbook"]
            for play in yaml.safe_load((PLAYBOOKS / name).read_text())
            if "ansible.builtin.import_playbook" in play
        ]

    assert imports("certificate_phase.yml")[0] == "certificate_hosts.yml"
    assert imports("rotate_certificates.yml") == ["certificate_phase.yml"] * 3 + ["certificate_hosts.yml"]


def groups_of(pattern: str) -> set[str]:
    """The groups of a pattern that a play is for, without those that it leaves out and those that are no host of the site."""
    return {word for word in pattern.split(":") if not word.startswith("!")} - {"localhost", "hypervisor"}


def test_every_host_that_has_certificates_is_counted() -> None:
    phase = yaml.safe_load((PLAYBOOKS / "certificate_phase.yml").read_text())
    counting, *steps = [play["ansible.builtin.import_playbook"] for play in phase]
    given = {
        group
        for step in steps
        for play in yaml.safe_load((PLAYBOOKS / step).read_text())
        for group in groups_of(play["hosts"])
    }
    counted = yaml.safe_load((PLAYBOOKS / counting).read_text())[0]["vars"]["_rotation_pattern"]
    assert groups_of(counted) == given
    assert "desktops" in given
