"""Transport tls: the engine answers the manager's certificate and no other."""

import json
import socket
import ssl
from collections.abc import Callable

import pytest
from testinfra.host import Host

from conftest import ADDRESSES, PLAIN_PORT

testinfra_hosts = ["ssh://tls"]


def test_the_manager_is_answered(ask: Callable[[str | None], bytes]) -> None:
    assert ask("clients/manager-engine") == b"OK"


@pytest.mark.parametrize(
    "certificate",
    [None, "clients/stranger", "before/manager-engine"],
    ids=["none", "of the site CA", "from before the rotation"],
)
def test_any_other_certificate_is_refused(ask: Callable[[str | None], bytes], certificate: str | None) -> None:
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        ask(certificate)


def test_the_plain_port_is_closed() -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ADDRESSES["tls"], PLAIN_PORT), 5)


def test_keys_are_for_root_alone(host: Host) -> None:
    key = host.file("/etc/bluefleet/pki/engine/server.key")
    assert (key.user, key.mode) == ("root", 0o400)


def test_the_host_has_no_key_of_an_authority(host: Host) -> None:
    assert host.run("find / -xdev -name 'ca.key'").stdout == ""


def test_a_changed_configuration_is_in_force(host: Host) -> None:
    assert json.loads(host.file("/etc/docker/daemon.json").content_string)["max-concurrent-downloads"] == 7
    before = host.file("/root/engine.before").content_string.strip()
    assert host.file("/run/docker.pid").content_string.strip() != before


def test_a_changed_configuration_restarts_the_engine_once(host: Host) -> None:
    since = host.file("/root/changed.after").content_string.strip()
    journal = host.check_output("journalctl --unit docker.service --output cat --since %s", since)
    assert journal.count("Started docker.service") == 1


def test_a_container_survives_the_restart(host: Host) -> None:
    before = host.file("/root/container.before").content_string.strip()
    assert host.check_output("docker inspect --format '{{.State.Running}} {{.State.Pid}}' survivor") == f"true {before}"


def test_logs_of_containers_are_rotated(host: Host) -> None:
    config = json.loads(host.check_output("docker inspect --format '{{json .HostConfig.LogConfig}}' survivor"))
    assert config == {"Type": "json-file", "Config": {"max-file": "5", "max-size": "20m"}}
