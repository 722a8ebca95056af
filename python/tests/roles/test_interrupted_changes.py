"""A run that is interrupted between a change and the handler that puts it in force loses nothing: the next one does it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from patience import PATIENCE

TOP = Path(__file__).resolve().parents[3]
# Each test is some runs of Ansible: 2 s each, several times that where lint and image builds run beside it.
# A second try would be the run after, which mends what the first one left.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.flaky(reruns=0)]

PLAY = """\
- name: Host
  hosts: localhost
  gather_facts: false
  vars: {{ansible_python_interpreter: "{{{{ ansible_playbook_python }}}}"}}
  tasks:
    - ansible.builtin.import_role: {{name: {role}, tasks_from: {tasks}}}
"""
# As systemd tells of a unit that runs since long ago.
UNIT = (
    "Id=chrony.service\nLoadState=loaded\nUnitFileState=enabled\nActiveState=active\nNeedDaemonReload=no\n"
    "FragmentPath=\nDropInPaths=\nExecMainStartTimestamp=Sat 2020-11-21 00:09:04.500000 UTC\nActiveEnterTimestamp=\n"
)
# chronyc waits in vain where a file says so, and follows what another file says.
PROGRAMS = {
    "sysctl": "",
    "modprobe": "",
    "chronyc": 'if [ -e "${0%/*}/../unreachable" ] && [ "$1" = waitsync ]; then echo "try: 12, refid: 00000000"; exit 1; fi\n'
    'if [ "$1" = -c ]; then cat "${0%/*}/../sources"; fi\n',
    "systemctl": f"cat <<'end'\n{UNIT}end\n",
    "dpkg-query": "echo chrony installed",
}
# Files of a host belong to root.
AS_ROOT = () if os.geteuid() == 0 else ("unshare", "--map-root-user")


class Host:
    """This machine, with programs that only write down that they were called, and files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._calls = folder / "calls"
        programs = folder / "bin"
        programs.mkdir()
        for name, body in PROGRAMS.items():
            program = programs / name
            program.write_text(f'#!/bin/sh\necho "{name} $*" >>{self._calls}\n{body}\n')
            program.chmod(0o755)
        (folder / "sources").write_text("^,*,time.example,2,6,377,12,0.1,0.1,0.1\n")
        (folder / "hosts.yml").write_text("manager: {hosts: {localhost: {ansible_connection: local}}}\n")
        self._environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1"}

    def converge(self, role: str, tasks: str, given: dict[str, Any]) -> tuple[int, list[str]]:
        """Run the tasks; how many changed something, and the programs that were called to put things in force."""
        done = self.run(role, tasks, given)
        assert done.returncode == 0, done.stdout + done.stderr
        changed = int(done.stdout.rpartition("changed=")[2].split()[0])
        calls = [
            line for line in self._calls.read_text().splitlines() if line.startswith(("sysctl", "chronyc", "modprobe"))
        ]
        return changed, calls

    def run(self, role: str, tasks: str, given: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        """Run the tasks."""
        self._calls.write_text("")
        playbook = self.folder / "play.yml"
        playbook.write_text(PLAY.format(role=role, tasks=tasks))
        return subprocess.run(
            [
                *AS_ROOT,
                *(Path(sys.executable).with_name("ansible-playbook"), "-i", self.folder / "hosts.yml", playbook),
                *("-e", json.dumps({"site_lib_dir": str(self.folder / "lib"), **given})),
            ],
            cwd=TOP,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120 * PATIENCE,
            check=False,
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_kernel_settings_that_no_handler_put_in_force_are_by_the_next_run(host: Host) -> None:
    path = host.folder / "etc" / "70-bluefleet.conf"
    entry = {"path": str(path), "content": "net.core.rmem_max = 1\n", "mode": "0644", "when": True}
    given = {"_node_files": [entry], "node_sysctl": {"net.core.rmem_max": 1}}
    assert len(host.converge("node", "kernel", given)[1]) == 1
    assert host.converge("node", "kernel", given) == (0, [])

    # As an interrupted run leaves it: the file is right, and newer than the last handler.
    path.touch()
    changed, calls = host.converge("node", "kernel", given)
    assert changed > 0
    assert calls == ["sysctl --load=/etc/sysctl.d/70-bluefleet.conf"]
    assert host.converge("node", "kernel", given) == (0, [])


def test_only_declared_modules_are_loaded(host: Host) -> None:
    path = host.folder / "etc" / "bluefleet.conf"
    entry = {"path": str(path), "content": "grabber\n", "mode": "0644", "when": True}
    given = {"_node_files": [entry], "node_kernel_modules": ["grabber", "usbtmc"]}
    assert host.converge("node", "kernel", given)[1] == ["modprobe -a grabber usbtmc"]


def test_time_servers_that_no_handler_made_known_are_by_the_next_run(host: Host) -> None:
    path = host.folder / "bluefleet.sources"
    given = {
        "_time_sources": str(path),
        "_time_stamp": str(host.folder / "followed"),
        "time_servers": ["time.example"],
    }
    known = ["chronyc reload sources", "chronyc waitsync 12 1.0 0.0 5.0", "chronyc -c -N sources"]
    assert host.converge("time", "configure", given)[1] == known
    assert host.converge("time", "configure", given) == (0, [])

    path.touch()
    changed, calls = host.converge("time", "configure", given)
    assert changed > 0
    assert calls == known
    assert host.converge("time", "configure", given) == (0, [])


def test_a_clock_that_can_not_be_set_is_told_with_its_servers_and_tried_again(host: Host) -> None:
    given = {
        "_time_sources": str(host.folder / "bluefleet.sources"),
        "_time_stamp": str(host.folder / "followed"),
        "time_servers": ["time.example", "192.0.2.1"],
    }
    unreachable = host.folder / "unreachable"
    unreachable.touch()
    failed = host.run("time", "configure", given)
    assert failed.returncode != 0
    told = " ".join((failed.stdout + failed.stderr).split())
    assert (
        "localhost could not set its clock by time.example, 192.0.2.1 within a minute (try: 12, refid: 00000000)"
        in told
    )
    assert "Open UDP port 123 to it or correct time_servers" in told

    unreachable.unlink()
    assert host.converge("time", "configure", given)[0] > 0
    assert host.converge("time", "configure", given) == (0, [])


def test_a_clock_that_follows_the_pool_beside_declared_servers_is_told(host: Host) -> None:
    given = {
        "_time_sources": str(host.folder / "bluefleet.sources"),
        "_time_stamp": str(host.folder / "followed"),
        "time_servers": ["192.0.2.1"],
        "_time_tries": 2,
    }
    states = {"pool.example": "*", "192.0.2.1": "?", "192.0.2.10": "+"}
    lines = [f"^,{state},{name},2,6,377,1,0,0,0\n" for name, state in states.items()]
    (host.folder / "sources").write_text("".join(lines))
    failed = host.run("time", "configure", given)
    assert failed.returncode != 0
    told = " ".join((failed.stdout + failed.stderr).split())
    assert "localhost sets its clock by none of 192.0.2.1, but by other servers (pool.example, 192.0.2.10)" in told
    assert f"lacks `sourcedir {host.folder}`" in told
    assert not (host.folder / "followed").exists()


# What compares with what runs, so that what an interrupted run left behind is found.
COMPARES = {"host_units", "ansible.builtin.find"}


def test_every_handler_is_notified_by_a_task_that_looks_at_what_runs() -> None:
    """A handler that only the changing task notifies is lost for good when the run ends between the two."""
    notified: dict[str, set[str]] = {}
    for path in (TOP / "roles").glob("*/tasks/*.yml"):
        for task in _tasks(yaml.safe_load(path.read_text()) or []):
            names = task.get("notify", [])
            for name in [names] if isinstance(names, str) else names:
                notified.setdefault(f"{path.parents[1].name}: {name}", set()).update(task)
    assert notified
    lost = {name for name, keys in notified.items() if not keys & COMPARES}
    # Loaded at once, and left-behind rules are loaded by a handler of their own.
    assert lost == {"firewall: New rules are in force and let Ansible in"}


def _tasks(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for task in listed:
        found += [task, *(inner for part in ("block", "rescue", "always") for inner in _tasks(task.get(part, [])))]
    return found
