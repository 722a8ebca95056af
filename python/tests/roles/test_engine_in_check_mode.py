"""A dry run of the engine's role on a host that has none of its packages: what they would bring is not there, and not needed."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_runs import TOP, run_playbook

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
TASKS = TOP / "roles" / "docker_engine" / "tasks"
MISSING_GROUP = "bluefleet-none-such"


def tasks() -> list[dict[str, Any]]:
    """What installs the engine, and the first thing that needs it installed: a user in the group of its packages."""
    install = yaml.safe_load((TASKS / "install.yml").read_text())
    user = yaml.safe_load((TASKS / "configure.yml").read_text())[0]
    assert user["ansible.builtin.user"]["groups"] == "docker"
    user["ansible.builtin.user"]["groups"] = MISSING_GROUP
    return [*install, user]


def test_a_dry_run_on_a_host_without_an_engine_is_not_stopped_by_what_was_only_pretended(
    tmp_path: Path,
) -> None:
    # No package is installed, and apt-get knows none.
    for name in ("dpkg-query", "apt-get"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars": {
            "_docker_engine_before": {"source_files": [], "old_drop_ins": []},
            "_docker_engine_system": "Debian-12",
            "docker_engine_transport": "ssh",
            "docker_engine_packages": ["docker-ce"],
            "docker_engine_apt_source": {
                "uris": "https://mirror.example.org/docker",
                "suites": "bookworm",
                "components": "stable",
                "signed_by": "/key",
            },
        },
        "roles": [{"role": "docker_engine", "tags": ["never"]}],
        "tasks": tasks(),
    }
    host = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    (tmp_path / "hosts.yml").write_text(
        json.dumps({"nodes": {"hosts": {"node": host}}, "manager": {"hosts": {"node": {}}}})
    )
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    done = run_playbook(
        tmp_path / "hosts.yml",
        tmp_path / "play.yml",
        "--check",
        ANSIBLE_ROLES_PATH=str(TOP / "roles"),
        PATH=f"{tmp_path}:{os.environ['PATH']}",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changed=2" in done.stdout
