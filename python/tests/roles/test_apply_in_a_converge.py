"""What a converge counts as changed when it applies the fleet: what the command says it changed, however it ended."""

import json
import re
from pathlib import Path

import pytest

from ansible_runs import run_playbook

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PLAY = """\
- name: Manager
  hosts: manager
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: fleet, tasks_from: apply}
"""


def changed(folder: Path, code: int, said: str, *arguments: str) -> tuple[int, str]:
    """How many tasks changed something when the command ends with this code and says this, and all that was printed."""
    command = folder / "bluefleet"
    command.write_text(f"#!/bin/sh\ncat <<'end'\n{said}\nend\necho 'node2: failed: no answer' >&2\nexit {code}\n")
    command.chmod(0o755)
    (folder / "play.yml").write_text(PLAY)
    (folder / "hosts.yml").write_text("manager: {hosts: {desk: {ansible_connection: local}}}\n")
    given = {
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "fleet_command": str(command),
        "_fleet_site_file": "",
        "_fleet_command": {"changed": False},
    }
    done = run_playbook(folder / "hosts.yml", folder / "play.yml", "-e", json.dumps(given), *arguments)
    printed = done.stdout + done.stderr
    assert (done.returncode != 0) == (code == 1), printed
    recap = re.search(r"changed=(\d+)", printed)
    assert recap is not None, printed
    return int(recap[1]), printed


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (0, '{"changed": true}', 1),
        (0, '{"changed": false}', 0),
        # One node changed, another one failed.
        (1, '{"changed": true}', 1),
        (1, '{"changed": false}', 0),
        # The command could not begin.
        (1, '{"schema_version": 1, "ok": false, "error": {}}', 0),
        (1, "", 0),
    ],
)
def test_what_was_changed_is_told_also_when_something_failed(
    tmp_path: Path, code: int, said: str, expected: int
) -> None:
    tasks, printed = changed(tmp_path, code, said)
    assert tasks == expected
    assert ("node2: failed: no answer" in printed) == (code == 1)


def test_in_check_mode_what_differs_is_changed(tmp_path: Path) -> None:
    assert changed(tmp_path, 3, '{"changed": true}', "--check")[0] == 1
