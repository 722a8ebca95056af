"""Transport ssh: nothing listens, and the manager's key reaches the engine and nothing else."""

import socket

import pytest
from testinfra.host import Host

from conftest import ADDRESSES, PLAIN_PORT, TLS_PORT

testinfra_hosts = ["ssh://control"]
_SSH = f"runuser -u bluefleet -- ssh bluefleet@{ADDRESSES['ssh']}"


@pytest.mark.parametrize("port", [TLS_PORT, PLAIN_PORT])
def test_no_port_of_the_engine_is_open(port: int) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ADDRESSES["ssh"], port), 5)


def test_the_manager_reaches_the_engine(host: Host) -> None:
    answer = host.check_output(
        f"printf 'GET /_ping HTTP/1.1\\r\\nHost: engine\\r\\nConnection: close\\r\\n\\r\\n' | {_SSH} docker system dial-stdio"
    )
    assert answer.startswith("HTTP/1.1 200 OK")


def test_the_docker_command_line_reaches_it_too(host: Host) -> None:
    command = f"runuser -u bluefleet -- docker --host ssh://bluefleet@{ADDRESSES['ssh']} version --format '{{{{.Server.Os}}}}'"
    assert host.check_output(command) == "linux"


def test_the_key_runs_nothing_else(host: Host) -> None:
    assert "uid=" not in host.run(f"{_SSH} id </dev/null").stdout


def test_the_key_is_for_the_fleet_alone(host: Host) -> None:
    key = host.file("/etc/bluefleet/pki/engine-client/id_ed25519")
    assert (key.user, key.mode) == ("bluefleet", 0o400)
