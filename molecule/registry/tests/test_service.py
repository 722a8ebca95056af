"""The registry on its host: what engines can do with it, what is kept, as whom it runs."""

import json

from testinfra.host import Host

from conftest import ADDRESSES, PORT

LOGIN = "/etc/bluefleet/docker"
testinfra_hosts = ["ssh://secure", "ssh://insecure"]


def _here(host: Host) -> str:
    return f"{ADDRESSES[host.check_output('hostname')]}:{PORT}"


def test_an_engine_pulls_with_the_login_it_was_given(host: Host) -> None:
    assert host.run(f"docker --config {LOGIN} pull --quiet {_here(host)}/bluefleet/kept:1").succeeded


def test_an_engine_without_login_is_refused(host: Host) -> None:
    answer = host.run(f"docker --config /nowhere pull --quiet {_here(host)}/bluefleet/kept:1")
    assert answer.failed
    assert "no basic auth credentials" in answer.stderr


def test_a_removed_image_gives_its_room_back(host: Host) -> None:
    before = int(host.file("/root/size.before").content_string)
    after = int(host.check_output("du --summarize --bytes /var/lib/bluefleet/registry | cut --fields=1"))
    assert before - after > 250_000


def test_garbage_is_collected_every_week(host: Host) -> None:
    assert host.service("bluefleet-registry-gc.timer").is_enabled
    assert host.service("bluefleet-registry-gc.timer").is_running


def test_the_registry_is_not_root_and_sees_no_key_but_its_own(host: Host) -> None:
    pid = host.check_output("systemctl show --value --property=MainPID bluefleet-registry.service")
    assert host.check_output("ps --format user= --pid %s", pid) == "docker-registry"
    assert host.file("/etc/bluefleet/registry/htpasswd").mode == 0o400


def test_no_password_is_in_a_unit_or_a_configuration(host: Host) -> None:
    login = json.loads(host.file(f"{LOGIN}/config.json").content_string)["auths"][_here(host)]["auth"]
    assert host.file(f"{LOGIN}/config.json").mode == 0o600
    assert not host.file("/root/.docker/config.json").exists
    readable = host.check_output("cat /etc/bluefleet/registry/config.yml /etc/systemd/system/bluefleet-registry*")
    assert login not in readable
    assert host.check_output("cat /etc/bluefleet/registry/htpasswd").count("$2b$") == 2


def test_the_package_s_own_registry_is_off(host: Host) -> None:
    assert not host.service("docker-registry.service").is_enabled
    assert not host.service("docker-registry.service").is_running
