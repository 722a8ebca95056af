"""A person who logs in to the desktop over SSH, and the container image that person has."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from testinfra.host import Host

ADDRESSES = {"desk": "172.30.78.70", "old": "172.30.78.71"}
SSH_FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "site" / "ssh"
IMAGE = "localhost/bluefleet/tiny:1"
# Podman says on each call that it regrets the old cgroup hierarchy of the control machine; nothing here depends on it.
_QUIET = "export PODMAN_IGNORE_CGROUPSV1_WARNING=1; "
# Programs with their libraries and the files that name users: an image that needs no other host.
_MAKE_IMAGE = f"""
programs='/bin/sh /bin/cat /bin/chown /bin/stat /bin/touch /bin/sleep'
podman image exists {IMAGE} || tar --create --dereference --directory=/ \
  $(for each in $programs; do echo $each; ldd $each | grep -o '/[^ ]*'; done | sort -u | sed 's,^/,,') etc/passwd etc/group \
  | podman import - {IMAGE}
"""

Login: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]


def ssh_command(address: str, user: str, *options: str, key: Path = SSH_FOLDER / "id_ed25519") -> list[str]:
    return [
        "ssh", "-i", str(key), "-o", f"UserKnownHostsFile={SSH_FOLDER / 'known_hosts'}",
        "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", *options, f"{user}@{address}",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def address(host: Host) -> str:
    """Where the desktop of a test is."""
    return ADDRESSES[host.backend.get_hostname()]


@pytest.fixture(scope="module")
def login(address: str) -> Login:
    """Run a command as a person over SSH, as that person would."""

    def run(user: str, command: str, *options: str, **more: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*ssh_command(address, user, *options, **more), _QUIET + command],
            env={**os.environ, "DISPLAY": ":0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture(scope="module", params=["ada", "ben", "narrow"])
def person(request: pytest.FixtureRequest, login: Login) -> str:
    """Somebody who has an image."""
    made = login(request.param, _MAKE_IMAGE)
    assert made.returncode == 0, made.stderr
    return request.param


@pytest.fixture
def forwarding(address: str) -> Iterator[str]:
    """The display of a session with X11 forwarding that stays open during a test."""
    with subprocess.Popen(
        [*ssh_command(address, "ada", "-Y"), "echo $DISPLAY; cat"],
        env={**os.environ, "DISPLAY": ":0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as session:
        assert session.stdout is not None
        yield session.stdout.readline().strip()
        session.terminate()
