"""What the roles install on each distribution is what the golden list says; rendered by Ansible, on no such machine."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_runs import TOP, run_playbook

GOLDEN = Path(__file__).with_name("packages.golden.yml")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ROLES = {path.parents[1].name for path in (TOP / "roles").glob("*/tasks/*.yml") if "site_packages:" in path.read_text()}
SOURCE = {
    "uris": "https://mirror.example.org/docker",
    "suites": "bookworm",
    "components": "stable",
    "signed_by": "/key",
}
DOCKER = {
    "docker_engine_apt_source": SOURCE,
    "docker_engine_packages": ["docker-ce", "docker-ce-cli", "containerd.io", "docker-compose-plugin"],
}
# Hosts that are everything at once.
HOSTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "debian-12": ("Debian", "12.11", {}),
    "debian-12-with-a-pod": ("Debian", "12.11", DOCKER),
    "debian-13": ("Debian", "13.1", {}),
    # Without a source: the host had it before.
    "debian-13-that-keeps-its-engine": ("Debian", "13.1", {"docker_engine_packages": DOCKER["docker_engine_packages"]}),
    "ubuntu-24.04": ("Ubuntu", "24.04", {}),
}


def installations() -> list[tuple[str, dict[str, Any]]]:
    """Every task that installs packages, with its role, in the order of the files."""
    return [
        (path.parents[1].name, task)
        for path in sorted((TOP / "roles").glob("*/tasks/*.yml"))
        for task in yaml.safe_load(path.read_text()) or []
        if "site_packages" in task
    ]


def playbook(folder: Path) -> list[dict[str, Any]]:
    facts = {
        key: f"{{{{ system.{key} }}}}" for key in ("distribution", "distribution_version", "distribution_major_version")
    }
    tasks: list[dict[str, Any]] = [{"ansible.builtin.set_fact": {**facts, "cacheable": True}}]
    for number, (role, task) in enumerate(installations()):
        found = {f"found_{number:02}": {"role": role, "names": task["site_packages"]["names"]}}
        tasks.append({"ansible.builtin.set_fact": found, "when": task.get("when", True)})
    found = "{{ query('ansible.builtin.varnames', '^found_') | sort | map('extract', vars) }}"
    content = "{{ {'program': _docker_engine_program, 'found': found} | to_json }}"
    written = {"content": content, "dest": f"{folder}/{{{{ inventory_hostname }}}}.json", "mode": "0600"}
    tasks.append({"ansible.builtin.copy": written, "vars": {"found": found}})
    return [
        {
            "name": "Package lists of every host are rendered",
            "hosts": "all",
            "gather_facts": False,
            "roles": [{"role": role, "tags": ["never"]} for role in sorted(ROLES)],
            "tasks": tasks,
        }
    ]


def inventory() -> dict[str, Any]:
    hosts = {
        name: {
            "system": {
                "distribution": distribution,
                "distribution_version": version,
                "distribution_major_version": version.partition(".")[0],
            },
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "node_mounts": [{"path": "/data", "src": "store:/data"}],
            **given,
        }
        for name, (distribution, version, given) in HOSTS.items()
    }
    return {group: {"hosts": dict(hosts)} for group in ("manager", "data", "desktops", "nodes")}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Host → the daemon's program, and role → packages."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "hosts.yml").write_text(json.dumps(inventory()))
    (folder / "play.yml").write_text(json.dumps(playbook(folder)))
    done = run_playbook(folder / "hosts.yml", folder / "play.yml", ANSIBLE_ROLES_PATH=str(TOP / "roles"))
    assert done.returncode == 0, done.stdout + done.stderr
    hosts: dict[str, Any] = {}
    for name in HOSTS:
        said = json.loads((folder / f"{name}.json").read_text())
        packages: dict[str, list[str]] = {}
        for each in said["found"]:
            packages.setdefault(each["role"], []).extend(each["names"])
        hosts[name] = {"program": said["program"], "packages": packages}
    return hosts


@pytest.mark.parametrize("host", HOSTS)
def test_the_packages_of_a_distribution_are_those_of_the_golden_list(rendered: dict[str, Any], host: str) -> None:
    assert rendered[host] == yaml.safe_load(GOLDEN.read_text())[host]


def test_virtual_hosts_have_every_package_that_roles_install_there(rendered: dict[str, Any]) -> None:
    """A converge of the laboratory fetches nothing; chrony is for real hosts, network file systems for those that say so."""
    install = (TOP / "images" / "host" / "install").read_text()
    there = {*install.replace('"', " ").split(), "ca-certificates"}
    wanted = {
        name
        for role, names in rendered["debian-13"]["packages"].items()
        for name in names
        if role not in {"time", "node"}
    }
    assert wanted - there == set()
