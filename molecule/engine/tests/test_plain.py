"""Transport plain: the keys and files that fliswarm documents for its nodes, no more."""

import http.client
import json

from testinfra.host import Host

from conftest import ADDRESSES, PLAIN_PORT

testinfra_hosts = ["ssh://plain"]


def test_the_host_has_the_oldest_supported_system(host: Host) -> None:
    assert (host.system_info.distribution, host.system_info.release.partition(".")[0]) == ("debian", "12")


def test_the_engine_answers_without_tls() -> None:
    connection = http.client.HTTPConnection(ADDRESSES["plain"], PLAIN_PORT, timeout=10)
    connection.request("GET", "/_ping")
    assert connection.getresponse().read() == b"OK"
    connection.close()


def test_daemon_json_has_the_documented_keys(host: Host) -> None:
    daemon = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert daemon["hosts"] == ["tcp://0.0.0.0:2375", "unix:///var/run/docker.sock"]
    assert daemon["insecure-registries"] == ["172.30.78.10:5000"]
    assert not [key for key in daemon if key.startswith("tls")]


def test_the_unit_names_no_sockets(host: Host) -> None:
    lines = host.file("/etc/systemd/system/docker.service.d/zz-bluefleet.conf").content_string.splitlines()
    starts = [line for line in lines if line.startswith("ExecStart=")]
    assert starts[0] == "ExecStart="
    assert len(starts) == 2
    assert "-H" not in starts[1].split()


def test_the_unit_is_the_sites_whatever_else_was_said_of_it(host: Host) -> None:
    names = host.file("/etc/systemd/system/docker.service.d").listdir()
    assert sorted(names) == ["override.conf", "zz-bluefleet.conf"]
    started = host.check_output("systemctl show docker.service --property ExecStart")
    assert "-H" not in started.split()


def test_an_insecure_registry_has_no_certificate_here(host: Host) -> None:
    assert not host.file("/etc/docker/certs.d/172.30.78.10:5000").exists
