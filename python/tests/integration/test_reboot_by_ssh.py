"""The key that reboots a node, through a real sshd and sudo: a host of the project's image, set up as the roles do it.

Only systemd is not there to be asked: what would be is written down.
"""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
from document_stack import REPOSITORY

from bluefleet.fleet import Settings, SoftFailed, by_ssh
from bluefleet.model import Site
from patience import PATIENCE, ends_in
from real_engine import docker

COMMAND, USER = "/usr/local/sbin/bluefleet-reboot", "bluefleet-reboot"
BOOT = f"""
set -e
useradd --system --create-home --password '*' --shell /bin/sh {USER}
mkdir -m 700 /home/{USER}/.ssh
install -m 600 /given/authorized_keys /home/{USER}/.ssh/
chown -R {USER}: /home/{USER}
install -m 755 /given/reboot.sh {COMMAND}
visudo -c -f /given/sudoers
install -m 440 /given/sudoers /etc/sudoers.d/bluefleet-reboot
printf '#!/bin/sh\\nid -un > /told\\necho "$@" >> /told\\n' > /usr/bin/systemd-run
chmod 755 /usr/bin/systemd-run
install -m 600 /given/host /etc/ssh/ssh_host_ed25519_key
mkdir -p /run/sshd
exec /usr/sbin/sshd -D -e -h /etc/ssh/ssh_host_ed25519_key
"""


class Node:
    """A host with sshd, and what the manager has for it."""

    def __init__(self, name: str, folder: Path, settings: Settings) -> None:
        self.given, self.client, self.settings = folder / "given", settings.reboot_ssh_config.parent, settings
        self.client.mkdir(parents=True)
        self.given.mkdir()
        for key in (self.given / "host", self.client / "id_ed25519", folder / "other"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        admitted = (self.client / "id_ed25519.pub").read_text()
        for file in ("reboot.sh", "reboot_sudoers", "reboot_authorized_keys"):
            text = _rendered("node", file, _node_reboot_command=COMMAND, _node_reboot_keys=admitted.splitlines())
            (self.given / file.removeprefix("reboot_")).write_text(text)
        image = docker("images", "--format", "{{.Repository}}:{{.Tag}}", "bluefleet/host").splitlines()[0]
        self.id = docker(
            *("run", "--detach", "--name", name, "--volume", f"{self.given}:/given:ro", image, "/bin/sh", "-c", BOOT)
        )
        (network,) = json.loads(docker("inspect", self.id))[0]["NetworkSettings"]["Networks"].values()
        self.address = str(network["IPAddress"])
        names: dict[str, Any] = {"groups": {"nodes": ["node1"]}, "hostvars": {"node1": {"ansible_host": self.address}}}
        text = _rendered(
            "fleet", "reboot_ssh_config", _fleet_reboot=self.client, site_ports={"ssh": {"port": 22}}, **names
        )
        settings.reboot_ssh_config.write_text(text)
        (self.client / "known_hosts.d").mkdir()
        self.knows("host")

    def knows(self, key: str) -> None:
        """Pin the node's host key."""
        public = (self.given / f"{key}.pub").read_text()
        (self.client / "known_hosts.d" / "node1").write_text(f"node1 {public}")

    def tell(self) -> str:
        """Tell it to reboot; what went wrong, in words."""
        node = {"name": "node1", "address": self.address}
        content = {"schema_version": 1, "site": "lab", "hosts": {}, "registry": None, "images": {}, "nodes": [node]}
        site = Site.model_validate(content)
        try:
            asyncio.run(by_ssh(self.settings)(site.nodes[0]))
        except SoftFailed as error:
            return str(error)
        return ""

    def told(self) -> str:
        """What systemd was asked on it, and by whom."""
        return docker("exec", self.id, "sh", "-c", "cat /told 2>/dev/null || true").strip()


def _rendered(role: str, template: str, **variables: Any) -> str:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, autoescape=False)  # noqa: S701
    text = (REPOSITORY / "roles" / role / "templates" / f"{template}.j2").read_text()
    return environment.from_string(text).render(site_pki_dir="", site_reboot_user=USER, **variables) + "\n"


@pytest.fixture
def node(tmp_path: Path, settings: Settings, word: str) -> Iterator[Node]:
    found = Node(f"{word}-reboot", tmp_path, settings)
    deadline = ends_in(20)
    while not subprocess.run(["ssh-keyscan", "-T", "2", found.address], capture_output=True, check=False).stdout:
        assert time.monotonic() < deadline, docker("logs", found.id)
        time.sleep(0.1)
    yield found
    docker("rm", "--force", found.id)


def test_the_key_reboots_the_node_and_does_nothing_else(node: Node) -> None:
    assert node.tell() == ""
    asked = "--quiet --on-active=1 --timer-property=AccuracySec=100ms systemctl reboot"
    assert node.told() == f"root\n{asked}"
    docker("exec", node.id, "rm", "/told")
    ssh = ["ssh", "-F", str(node.settings.reboot_ssh_config), "-T", "node1", "id -u; cat /etc/hostname"]
    done = subprocess.run(
        ssh, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20 * PATIENCE, check=False
    )
    assert (done.returncode, done.stdout, node.told()) == (0, "", f"root\n{asked}")


def test_a_node_that_is_another_or_does_not_admit_the_key_or_is_off_is_told(node: Node, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "other.pub", node.given / "other.pub")
    node.knows("other")
    assert "Host key verification failed" in node.tell()
    node.knows("host")
    docker("exec", node.id, "truncate", "--size", "0", f"/home/{USER}/.ssh/authorized_keys")
    assert "Permission denied (publickey" in node.tell()
    docker("stop", "--time", "0", node.id)
    assert f"could not be told at {node.address}: ssh ended with 255" in node.tell()
