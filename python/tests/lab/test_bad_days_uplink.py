"""Once images are built, a site needs nothing from outside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from lab_door import (
    ADDRESSES,
    SUBNET,
    Converge,
    Mended,
    as_root,
    assert_all_is_well,
    assert_looked_after,
    bluefleet,
    on,
    shell,
    unattended,
)

pytestmark = [pytest.mark.lab, pytest.mark.minutes, pytest.mark.faults, pytest.mark.timeout(600)]

# Processes of this group reach nothing but this machine and the laboratory. Nobody has it.
CUT_OFF_GROUP = "64999"
# Where nobody is (RFC 5737): whether a way there exists is all that is asked.
NOWHERE = ("192.0.2.1", 80)


def cut_off() -> list[str]:
    """What turns a command into one that the uplink is cut for."""
    if os.geteuid() == 0:
        return ["setpriv", f"--regid={CUT_OFF_GROUP}", "--keep-groups"]
    return ["sudo", "--preserve-env", "setpriv", f"--reuid={os.getuid()}", f"--regid={CUT_OFF_GROUP}", "--init-groups"]


@pytest.fixture
def no_uplink() -> Iterator[list[str]]:
    """The hosts reach nothing outside the laboratory, nor does what is run with this prefix on the control machine."""
    rules = (
        ["DOCKER-USER", "--source", SUBNET, "!", "--destination", SUBNET, "--jump", "DROP"],
        ["OUTPUT", "-m", "owner", "--gid-owner", CUT_OFF_GROUP, "!", "--destination", SUBNET,
         "!", "--out-interface", "lo", "--jump", "REJECT"],
    )  # fmt: skip
    set_up: list[list[str]] = []
    try:
        for rule in rules:
            shell(*as_root("iptables", "--wait", "--insert", *rule))
            set_up.append(rule)
        yield cut_off()
    finally:
        for rule in set_up:
            shell(*as_root("iptables", "--wait", "--delete", *rule))


def test_with_the_uplink_cut_site_yml_and_apply_mend_a_site(
    tmp_path: Path, mended: Mended, no_uplink: list[str]
) -> None:
    # The uplink is cut indeed: the control machine is refused at once, hosts can't fetch their package lists.
    probe = f"import socket; socket.create_connection({NOWHERE}, timeout=5)"
    assert "ConnectionRefusedError" in shell(*no_uplink, "python3", "-c", probe, check=False).stderr
    fetch = "apt-get -o Acquire::http::Timeout=1 -o Acquire::https::Timeout=1 -o Acquire::Retries=0 -o APT::Update::Error-Mode=any update"
    assert on("node1", f"{fetch} >/dev/null 2>&1; echo $?", check=False).strip() != "0"

    # A node that lost its instances and their image, as one that was installed anew.
    on("manager", "systemctl stop bluefleet-fleet.service")
    on(
        "node2",
        "docker rm --force $(docker ps --all --quiet) && docker image rm --force $(docker image ls --quiet | sort -u)",
    )
    on("data", "docker rm --force data-edge-1")
    for host in ADDRESSES:
        on(host, "rm --force /etc/bluefleet/pki/site-ca.crt")
    mended.by(Converge(tmp_path / "stages.json", prefix=no_uplink).finish())
    assert_all_is_well()
    assert_looked_after()

    with unattended():
        on("node1", "docker rm --force bluefleet-simple")
        applied = bluefleet("apply")
        assert applied.returncode == 0, applied.stderr
        assert "node1/simple: create" in applied.stderr
    assert_all_is_well()


def test_with_the_uplink_cut_an_update_takes_an_image_from_the_registry(no_uplink: list[str]) -> None:
    declared = yaml.safe_load(on("manager", "cat /etc/bluefleet/fleet.yml"))
    ioc = declared["images"]["ioc"]["reference"]
    try:
        with unattended():
            # node2 has it no more, nor anything that runs from it.
            on("node2", f"docker ps --all --quiet --filter ancestor={ioc} | xargs docker rm --force")
            on("node2", f"docker image rm --force {ioc}")
            updated = bluefleet("update", "node2/", "--image", f"ioc={ioc}")
            assert updated.returncode == 0, updated.stderr
            assert "node2/thermo: create" in updated.stderr
        assert_all_is_well()
    finally:
        bluefleet("clear", "node2/", "--kind", "pinned")
        bluefleet("apply")
    assert_all_is_well()
