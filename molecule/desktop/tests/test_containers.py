"""Containers run without root, for people who came over SSH."""

import socket

import pytest
from testinfra.host import Host

from conftest import IMAGE, Login

testinfra_hosts = ["ssh://desk", "ssh://old"]

RANGES = {"ada": "200000 65536", "ben": "265536 65536", "narrow": "400000 1001"}


def test_a_container_runs_with_the_sub_ids_of_the_person(login: Login, person: str) -> None:
    done = login(person, f"podman run --rm {IMAGE} cat /proc/self/uid_map")
    assert done.returncode == 0, done.stderr
    own, ranged = (line.split() for line in done.stdout.splitlines())
    assert own[0] == "0"
    assert " ".join(ranged) == f"1 {RANGES[person]}"


def test_root_inside_is_the_person_outside(login: Login, person: str) -> None:
    done = login(
        person,
        f"podman run --rm -v $HOME:/mnt {IMAGE} touch /mnt/made-inside && stat -c %U made-inside",
    )
    assert done.stdout.strip() == person, done.stderr


def test_a_file_can_be_given_to_nobody_inside_only_when_the_range_is_wide_enough(login: Login, person: str) -> None:
    done = login(
        person,
        f"podman run --rm {IMAGE} sh -c 'touch /file && chown 65534 /file && stat -c %u /file'",
    )
    assert (done.stdout.strip() == "65534") == (person != "narrow"), done.stderr


@pytest.mark.parametrize("file", ["/etc/subuid", "/etc/subgid"])
def test_each_person_has_one_range(host: Host, file: str) -> None:
    lines = host.file(file).content_string.splitlines()
    assert sorted(lines) == [
        "ada:200000:65536",
        "ben:265536:65536",
        "dora:500000:65536",
        "narrow:400000:1001",
    ]


def test_a_published_port_answers_on_the_desktop_and_not_outside(login: Login, host: Host, address: str) -> None:
    made = login(
        "ada",
        f"podman run --rm --detach --name door --publish 8090:8090 {IMAGE} sleep 50",
    )
    assert made.returncode == 0, made.stderr
    assert host.socket("tcp://0.0.0.0:8090").is_listening or host.socket("tcp://:::8090").is_listening
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, 8090), 5)
    login("ada", "podman rm --force --time 0 door")
