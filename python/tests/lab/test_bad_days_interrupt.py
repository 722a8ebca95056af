"""Ctrl-C at any stage leaves nothing that the next run does not finish."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from lab_door import Converge, Mended, assert_all_is_well, assert_looked_after, on

pytestmark = [pytest.mark.lab, pytest.mark.minutes, pytest.mark.faults, pytest.mark.timeout(600)]

# Each stage, and the words with which what it does on the hosts begins.
STAGES = {
    "virtual_hosts": "TASK [virtual_host : Virtual hosts run and answer SSH",
    "hosts": "TASK [firewall : Rules and their service are the declared ones",
    "engines": "TASK [pki : Host has its certificates and what it trusts",
    "registry": "TASK [registry : Registry has its configuration",
    "images": "TASK [image : Images are built, and the registry has them",
    "pods": "TASK [_pod : All services are healthy",
    "fleet": "TASK [fleet : Nodes run what is declared",
}
# A terminal gets its prompt back within this time.
PROMPT = 20.0


def break_something() -> None:
    """Give each stage something to do, so that it is interrupted in the middle of it."""
    # It would put back what the fleet's stage is to find.
    on("manager", "systemctl stop bluefleet-fleet.service")
    on("node1", "rm --force /etc/bluefleet/pki/site-ca.crt")
    # As if a run had been interrupted between new firewall rules and their loading: the file is right, what is in force is not.
    on(
        "node1",
        "nft add rule inet bluefleet open tcp dport 7777 accept && sleep 0.01 && touch /etc/bluefleet/firewall.nft",
    )
    on("manager", "rm --force /etc/bluefleet/registry/htpasswd")
    on("manager", "docker rm --force acquisition-edge-1")
    on("data", "docker rm --force data-edge-1 && rm --force /etc/bluefleet/pods/data/compose.yml")
    on("node2", "docker rm --force bluefleet-random-walk-vert")


def test_a_run_that_is_interrupted_at_any_stage_is_finished_by_the_next(tmp_path: Path, mended: Mended) -> None:
    break_something()
    stopped = []
    for stage, words in STAGES.items():
        converge = Converge(tmp_path / "stages.json", "--tags", stage)
        converge.wait_for(words)
        time.sleep(0.1)
        converge.interrupt()
        begin = time.monotonic()
        interrupted = converge.finish(PROMPT + 10)
        assert time.monotonic() - begin < PROMPT, f"{stage}: {interrupted.text[-2000:]}"
        if interrupted.code != 0:
            stopped.append(stage)

    # Python drops a signal that comes while it finalizes an object: a stage may have gone on to its end in spite of it.
    assert len(stopped) >= len(STAGES) - 2, stopped
    mended.by(Converge(tmp_path / "stages.json").finish())
    assert_all_is_well()
    assert_looked_after()
    assert "7777" not in on("node1", "nft list table inet bluefleet"), "the rules in the file are not in force"
    on("node1", "test -s /etc/bluefleet/pki/site-ca.crt")
