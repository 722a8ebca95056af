"""A site has one converge at a time, for as long as its process lives, with Ansible's own strategy and with mitogen."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_runs import mitogen
from patience import PATIENCE, ends_in

TOP = Path(__file__).resolve().parents[3]
PROGRAM = Path(sys.executable).with_name("ansible-playbook")
# Each test is some runs of Ansible: a second each, several times that where lint and image builds run beside it.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

INVENTORY = "all: {hosts: {localhost: {ansible_connection: local}}}\n"
PLAY = """\
- name: Long
  hosts: localhost
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    beside_a_converge: %s
  tasks:
    - name: It has begun
      ansible.builtin.file: {path: %s/begun, state: touch, mode: "0600"}
    - name: It goes on
      ansible.builtin.wait_for: {path: %s/end, timeout: 100, sleep: 1}
"""


class Site:
    """An inventory, and a playbook that runs until it is let go."""

    def __init__(self, folder: Path, strategy: dict[str, str]) -> None:
        self.folder = folder / "site"
        self.folder.mkdir()
        (self.folder / "hosts.yml").write_text(INVENTORY)
        self.playbook = folder / "long.yml"
        self.playbook.write_text(PLAY % ("false", folder, folder))
        self.beside = folder / "beside.yml"
        self.beside.write_text(PLAY % ("true", folder, folder))
        self._begun, self._end = folder / "begun", folder / "end"
        self._environment = {**os.environ, **strategy, "ANSIBLE_NOCOLOR": "1"}
        self.held: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Begin a converge; it is under way when this returns."""
        self._begun.unlink(missing_ok=True)
        self._end.unlink(missing_ok=True)
        command = [PROGRAM, "-i", self.folder, self.playbook]
        with (self.folder.parent / "log").open("wb") as log:
            running = subprocess.Popen(command, cwd=TOP, env=self._environment, stdout=log)
        self.held.append(running)
        end = ends_in(90)
        while not self._begun.exists():
            assert running.poll() is None, "it ended"
            assert time.monotonic() < end, "it never began"
            time.sleep(0.05)
        return running

    def let_go(self) -> None:
        self._end.touch()

    def run(self, *arguments: str, playbook: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Another run of Ansible on the same site, which does not wait for anything itself."""
        command = [PROGRAM, "-i", self.folder / "hosts.yml", playbook or self.playbook, *arguments]
        return subprocess.run(
            command, cwd=TOP, env=self._environment, capture_output=True, text=True, timeout=120 * PATIENCE, check=False
        )


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path, getattr(request, "param", {}))
    yield found
    # Killed, it would leave mitogen's multiplexer behind.
    found.let_go()
    for running in found.held:
        running.wait(60)


BOTH = pytest.mark.parametrize("site", [{}, mitogen()], ids=["linear", "mitogen"], indirect=True)


@BOTH
def test_a_second_converge_is_refused_and_told_whose_is_under_way(site: Site) -> None:
    first = site.start()
    refused = site.run()
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert f"process {first.pid} ({site.playbook}), since " in refused.stderr
    assert "wait for its end" in refused.stderr
    assert "TASK" not in refused.stdout
    assert "Traceback" not in refused.stderr
    site.let_go()
    assert first.wait(60) == 0
    # Nothing that mitogen leaves behind for a moment keeps it.
    allowed = site.run()
    assert allowed.returncode == 0, allowed.stdout + allowed.stderr


@BOTH
def test_a_converge_that_was_killed_holds_nothing(site: Site) -> None:
    first = site.start()
    # It alone: workers and mitogen's multiplexer may live on for a while.
    first.kill()
    first.wait()
    after = site.run("--tags", "none")
    assert after.returncode == 0, after.stdout + after.stderr


def test_what_only_looks_may_run_beside_a_converge_and_so_may_another_site(site: Site, tmp_path: Path) -> None:
    site.start()
    for arguments in (["--syntax-check"], ["--list-tasks"], ["--check", "--tags", "none"]):
        looked = site.run(*arguments)
        assert looked.returncode == 0, looked.stdout + looked.stderr
    beside = site.run("--tags", "none", playbook=site.beside)
    assert beside.returncode == 0, beside.stdout + beside.stderr
    (tmp_path / "other").mkdir()
    assert Site(tmp_path / "other", {}).run("--tags", "none").returncode == 0
    assert site.run("--tags", "none").returncode == 1, "the converge is no longer under way"


def test_the_operations_of_the_project_converge_and_what_only_looks_does_not() -> None:
    beside = set()
    for path in (TOP / "playbooks").glob("*.yml"):
        plays = [play for play in yaml.safe_load(path.read_text()) if "hosts" in play]
        if plays and all(play.get("vars", {}).get("beside_a_converge") for play in plays):
            beside.add(path.stem)
    assert beside == {"site_file", "build_images", "verify"}
