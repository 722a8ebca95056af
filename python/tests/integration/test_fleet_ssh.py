"""Transport ssh through a real sshd: a host of the project's own image in front of this machine's engine.

Reached as a site reaches it: with the key and the pinned host keys of the role's own `ssh_config`, and nothing else.
"""

import asyncio
import getpass
import io
import json
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
from document_stack import REPOSITORY
from test_fleet_operate import actions, applied, sleeper

from bluefleet.engine import Streams
from bluefleet.fleet import Call, NodeStatus, Settings, execute, select, status
from bluefleet.model import Site
from patience import ends_in
from real_engine import SOCKET, MakeSite, Seen, docker

TEMPLATES = REPOSITORY / "roles" / "docker_engine" / "templates"
# Two users that the key logs in: one as the role makes it, and one whom nobody admitted to the engine.
BOOT = """
set -e
groupadd --force --gid "$ENGINE" engines
for user in bluefleet stranger; do
    useradd --system --create-home --password '*' --shell /bin/sh $user
    mkdir -m 700 /home/$user/.ssh
    install -m 600 /keys/authorized_keys /home/$user/.ssh/
    chown -R $user: /home/$user
done
usermod --append --groups "$(getent group "$ENGINE" | cut -d: -f1)" bluefleet
install -m 600 /keys/host /etc/ssh/ssh_host_ed25519_key
mkdir -p /run/sshd
exec /usr/sbin/sshd -D -e -h /etc/ssh/ssh_host_ed25519_key
"""
DEADLINE = 4.0
# Ends when its input does, which ssh has to pass on.
ECHO = ["/bin/bash", "-c", 'while read -r line; do echo "$line"; done']


class Node:
    """A host with sshd; `moved` is a site with its node there."""

    def __init__(self, name: str, keys: Path, *, engine: bool) -> None:
        image = docker("images", "--format", "{{.Repository}}:{{.Tag}}", "bluefleet/host").splitlines()[0]
        self.id = docker(
            *("run", "--detach", "--name", name, "--volume", f"{keys}:/keys:ro"),
            *(("--volume", f"{SOCKET}:{SOCKET}") if engine else ()),
            *("--env", f"ENGINE={Path(SOCKET).stat().st_gid}", image, "/bin/sh", "-c", BOOT),
        )
        (network,) = json.loads(docker("inspect", self.id))[0]["NetworkSettings"]["Networks"].values()
        self.address = str(network["IPAddress"])

    def moved(self, site: Site, name: str = "node1", user: str = "bluefleet") -> Site:
        there = {"address": self.address, "port": 22, "transport": "ssh", "ssh_user": user}
        nodes = [node.model_copy(update=there) if node.name == name else node for node in site.nodes]
        return site.model_copy(update={"nodes": nodes})

    def remove(self) -> None:
        docker("rm", "--force", self.id)


class Manager:
    """This machine's side: its key, the host keys it knows, and the role's configuration of ssh."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("keys/host", "id_ed25519", "other"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        admitted = (folder / "id_ed25519.pub").read_text()
        (folder / "keys/authorized_keys").write_text(
            _rendered("authorized_keys", _docker_engine_keys=admitted.splitlines())
        )

    def knows(self, node: Node, key: str = "keys/host") -> None:
        """Pin the node's host key, as the role does."""
        (self.folder / "known_hosts.d").mkdir(exist_ok=True)
        public = (self.folder / f"{key}.pub").read_text()
        (self.folder / "known_hosts.d" / node.address).write_text(f"{node.address} {public}")
        config = _rendered("ssh_config", _docker_engine_ssh_addresses=[node.address], _docker_engine_client=self.folder)
        mine = config.replace("localuser bluefleet", f"localuser {getpass.getuser()}")
        (self.folder / "ssh_config").write_text(mine)


def _rendered(template: str, **variables: Any) -> str:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, autoescape=False)  # noqa: S701
    text = (TEMPLATES / f"{template}.j2").read_text()
    return environment.from_string(text).render(site_pki_dir="", **variables)


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manager:
    """Its ssh is the machine's own, with the role's configuration instead of this user's."""
    found = Manager(tmp_path / "ssh")
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {found.folder}/ssh_config "$@"\n')
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return found


@pytest.fixture
def make_node(manager: Manager, seen: Seen, word: str) -> Iterator[Callable[..., Node]]:
    made: list[Node] = []

    def make(*, engine: bool = True) -> Node:
        made.append(Node(f"{word}-sshd-{len(made)}", manager.folder / "keys", engine=engine))
        _listens(made[-1])
        manager.knows(made[-1])
        return made[-1]

    yield make
    assert processes(manager.folder) == ""
    for one in made:
        one.remove()


def _listens(node: Node) -> None:
    deadline = ends_in(20)
    asked = ["ssh-keyscan", "-T", "2", node.address]
    while not subprocess.run(asked, capture_output=True, check=False).stdout:
        assert time.monotonic() < deadline, docker("logs", node.id)
        time.sleep(0.1)


def looked(site: Site, settings: Settings) -> dict[str, NodeStatus]:
    return {node.name: node for node in asyncio.run(status(site, settings, deadline=DEADLINE)).nodes}


def processes(folder: Path) -> str:
    """The ssh processes that read this configuration."""
    return subprocess.run(["pgrep", "-af", str(folder)], capture_output=True, text=True, check=False).stdout


def test_an_instance_is_applied_looked_at_and_entered_over_ssh(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, make_node: Callable[..., Node]
) -> None:
    site = make_node().moved(make_site({"node1": [sleeper(f"{word}-a")]}))
    assert actions(applied(site, settings)) == [(f"{word}-a", "create", "done")]
    assert set(seen.ids()) == {f"bluefleet-{word}-a"}
    node = looked(site, settings)["node1"]
    assert (node.ok, node.instances[0].state) == (True, "running")
    assert actions(applied(site, settings)) == []

    read, write = os.pipe()
    os.write(write, b"over there\n")
    os.close(write)
    out = io.BytesIO()
    (place,) = select(site, [f"{word}-a"]).placed
    streams = Streams(out, io.BytesIO(), read)
    code = asyncio.run(execute(site, settings, place, ECHO, streams, call=Call("exec", who="ada")))
    os.close(read)
    assert (code, out.getvalue()) == (0, b"over there\n")


def test_a_node_that_shows_another_host_key_is_refused_and_told_so(
    make_site: MakeSite, settings: Settings, word: str, make_node: Callable[..., Node], manager: Manager
) -> None:
    node = make_node()
    manager.knows(node, "other")
    found = looked(node.moved(make_site({"node1": [sleeper(f"{word}-a")]})), settings)["node1"]
    assert not found.reachable
    assert "its host key is not the one known here" in found.reason


def test_a_key_that_the_node_does_not_admit_is_told(
    make_site: MakeSite, settings: Settings, word: str, make_node: Callable[..., Node], manager: Manager
) -> None:
    node = make_node()
    shutil.copy(manager.folder / "other", manager.folder / "id_ed25519")
    shutil.copy(manager.folder / "other.pub", manager.folder / "id_ed25519.pub")
    found = looked(node.moved(make_site({"node1": [sleeper(f"{word}-a")]})), settings)["node1"]
    assert not found.reachable
    assert found.reason.endswith("its sshd does not admit this machine's key")


def test_a_user_without_the_right_to_the_engine_is_told(
    make_site: MakeSite, settings: Settings, word: str, make_node: Callable[..., Node]
) -> None:
    site = make_node().moved(make_site({"node1": [sleeper(f"{word}-a")]}), user="stranger")
    found = looked(site, settings)["node1"]
    assert not found.reachable
    assert found.reason.endswith("its user stranger may not use the engine")


def test_a_host_without_an_engine_is_told_apart(
    make_site: MakeSite, settings: Settings, word: str, make_node: Callable[..., Node]
) -> None:
    site = make_node(engine=False).moved(make_site({"node1": [sleeper(f"{word}-a")]}))
    found = looked(site, settings)["node1"]
    assert not found.reachable
    assert found.reason.endswith("its sshd answers, but no engine runs there")


def test_an_sshd_that_hangs_costs_its_deadline_and_delays_no_other(
    make_site: MakeSite, settings: Settings, word: str, make_node: Callable[..., Node]
) -> None:
    node = make_node()
    site = node.moved(make_site({"node1": [sleeper(f"{word}-a")], "well": [sleeper(f"{word}-b")]}))
    docker("pause", node.id)
    begin = time.monotonic()
    found = looked(site, settings)
    assert time.monotonic() - begin < DEADLINE + 1
    assert not found["node1"].reachable
    assert found["node1"].reason.endswith("nothing answers at that address")
    assert found["well"].reachable
    report = applied(site, settings)
    assert [step for step in actions(report) if step[0] == f"{word}-b"] == [(f"{word}-b", "create", "done")]
    assert not report.ok
    docker("unpause", node.id)
    assert looked(site, settings)["node1"].reachable


def test_an_engine_that_hangs_behind_an_sshd_that_answers_costs_its_deadline(
    make_site: MakeSite, settings: Settings, word: str, make_node: Callable[..., Node]
) -> None:
    node = make_node()
    site = node.moved(make_site({"node1": [sleeper(f"{word}-a")]}))
    docker(
        "exec",
        node.id,
        "/bin/sh",
        "-c",
        "printf '#!/bin/sh\nexec sleep 60\n' >/usr/local/bin/docker; chmod 755 /usr/local/bin/docker",
    )
    begin = time.monotonic()
    found = looked(site, settings)["node1"]
    assert time.monotonic() - begin < DEADLINE + 1
    assert not found.reachable
    assert "no answer within" in found.reason
