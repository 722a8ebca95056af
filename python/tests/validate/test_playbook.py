"""playbooks/validate.yml is the first step of site.yml: it stops a wrong inventory in the words of the command."""

import subprocess
from pathlib import Path

import pytest

from ansible_runs import run_playbook

# Each test is one or two runs of Ansible: 4 s each, several times that where lint and image builds run beside it.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(320)]


def converge(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the playbook on an inventory."""
    return run_playbook(folder, "playbooks/validate.yml", *options, timeout=150)


def test_a_good_inventory_gets_its_secrets_and_the_second_time_nothing_changes(site):
    first = converge(site.folder)
    assert first.returncode == 0, first.stdout + first.stderr
    secret = site.folder / ".state" / "secrets" / "queue_api_key"
    assert secret.stat().st_mode & 0o777 == 0o600
    kept = secret.read_text()
    second = converge(site.folder)
    assert "changed=0" in second.stdout, second.stdout
    assert secret.read_text() == kept
    assert kept not in first.stdout + second.stdout


def test_a_wrong_inventory_stops_here_also_in_check_mode(site):
    site.change("host_vars/node2.yml", "image: ioc", "image: iocc")
    done = converge(site.folder, "--check")
    assert done.returncode != 0
    for part in ("host_vars/node2.yml:3", "node2: node_instances[0].image = ''iocc''", "Did you mean", "no host was"):
        assert part in done.stdout.replace("\n", " "), done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_mistakes_of_both_kinds_are_told_at_once(site):
    site.add("group_vars/all.yml", "registyr_tls: true\n")
    site.change("host_vars/node2.yml", "image: ioc", "image: iocc")
    done = converge(site.folder)
    assert done.returncode != 0
    for part in ("Did you mean 'registry_tls'?", "unknown image 'iocc'", "2 things are wrong"):
        assert part in done.stdout.replace("\n", " ").replace("''", "'"), done.stdout


def test_a_site_without_manager_is_told_so_and_not_how_a_template_failed(site):
    site.change(
        "hosts.yml", "manager:\n  hosts:\n    manager:\n      ansible_host: 10.0.0.10\n", "manager:\n  hosts: {}\n"
    )
    done = converge(site.folder)
    assert done.returncode != 0
    assert "group manager has 0 hosts" in done.stdout
    assert "undefined" not in done.stdout
