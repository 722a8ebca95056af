"""Who is admitted with the manager's keys: in check mode before they were made, and on a host that is no node any more."""

import subprocess
from pathlib import Path

import pytest

from ansible_runs import TOP, run_playbook

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

HEAD = """\
- name: One host
  hosts: all
  gather_facts: false
  vars: {site_pki_dir: "%s", site_lib_dir: "%s", site_etc_dir: /etc/bluefleet}
"""
INVENTORY = """\
manager: {hosts: {here: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}}}
"""


def run(folder: Path, rest: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "hosts.yml").write_text(INVENTORY)
    (folder / "play.yml").write_text(HEAD % (folder / "pki", folder / "lib") + rest)
    return run_playbook(folder / "hosts.yml", folder / "play.yml", *arguments, ANSIBLE_ROLES_PATH=str(TOP / "roles"))


@pytest.mark.parametrize(
    ("role", "template", "client"),
    [
        ("node", "reboot_authorized_keys", "manager-reboot"),
        ("docker_engine", "authorized_keys", "manager-engine-ssh"),
    ],
)
def test_keys_that_check_mode_has_not_made_fail_no_host(tmp_path: Path, role: str, template: str, client: str) -> None:
    rest = f"""\
  vars_files: [{TOP}/roles/{role}/vars/main.yml]
  tasks:
    - ansible.builtin.debug:
        msg: "{{{{ lookup('ansible.builtin.template', '{TOP}/roles/{role}/templates/{template}.j2') }}}}"
"""
    checked = run(tmp_path, rest, "--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    # Without them nobody is let in by chance: a real run does not go on.
    assert run(tmp_path, rest).returncode != 0
    accepted = tmp_path / "pki" / "clients" / f"{client}.accepted"
    accepted.parent.mkdir(parents=True)
    accepted.write_text("ssh-ed25519 old\nssh-ed25519 new\n")
    for arguments in ([], ["--check"]):
        done = run(tmp_path, rest, *arguments)
        assert [f" ssh-ed25519 {word}" in done.stdout for word in ("old", "new")] == [True, True], done.stdout


def test_a_host_that_is_no_node_any_more_admits_none(tmp_path: Path) -> None:
    keys, sudoers, command = (tmp_path / name for name in ("lib/reboot/.ssh/authorized_keys", "sudoers", "command"))
    keys.parent.mkdir(parents=True)
    for file in (keys, sudoers, command):
        file.write_text("of before\n")
    rest = f"""\
  tasks:
    - ansible.builtin.import_role: {{name: node, tasks_from: no_reboot}}
      vars: {{_node_reboot_sudoers: {sudoers}, _node_reboot_command: {command}}}
"""
    first, second = (run(tmp_path, rest) for _ in range(2))
    assert first.returncode == second.returncode == 0, first.stdout + first.stderr
    assert not any(path.exists() for path in (keys.parent, sudoers, command))
    assert ("changed=1" in first.stdout, "changed=0" in second.stdout) == (True, True)
