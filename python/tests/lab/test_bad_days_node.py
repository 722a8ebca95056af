"""A node that is switched off while site.yml runs is its own trouble and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab_door import ADDRESSES, Converge, Finished, Mended, assert_all_is_well, assert_looked_after, on, shell

pytestmark = [pytest.mark.lab, pytest.mark.faults, pytest.mark.timeout(600)]
NODE = "node2"
# What each of the others lacks, for the converge to put back: a file that each has, and an instance.
LOST = "/etc/bluefleet/pki/site-ca.crt"


def cut_off_during(tmp_path: Path) -> Finished:
    """Switch the node off when site.yml has just begun with the hosts."""
    converge = Converge(tmp_path / "stages.json")
    converge.wait_for("PLAY [Hosts admit people by key")
    shell("docker", "kill", f"bluefleet-lab-{NODE}")
    return converge.finish(240)


def test_a_node_that_is_switched_off_fails_alone_and_a_second_run_completes(tmp_path: Path, mended: Mended) -> None:
    others = [host for host in ADDRESSES if host != NODE]
    for host in others:
        on(host, f"rm --force {LOST}")
    # It would put back what the converge is to put back.
    on("manager", "systemctl stop bluefleet-fleet.service")
    on("node1", "docker rm --force bluefleet-simple")

    partly = cut_off_during(tmp_path)
    assert partly.code != 0
    assert partly.told["hosts"][NODE]["unreachable"] == 1, partly.text[-3000:]
    assert any(f"{NODE} does not answer" in failure for failure in partly.told["failures"])
    # The manager converged, and tells of the node in its own words.
    assert f"failed: {NODE}: " in partly.text, partly.text[-3000:]
    for host in ("data", "node1"):
        assert partly.told["hosts"][host]["failures"] == partly.told["hosts"][host]["unreachable"] == 0, partly.text[
            -3000:
        ]
    for host in others:
        on(host, f"test -s {LOST}")
    assert on("node1", "docker inspect --format '{{.State.Running}}' bluefleet-simple").strip() == "true"

    completed = mended.by(Converge(tmp_path / "stages.json").finish())
    assert completed.changed()["localhost"] == 1, "the virtual host is started"
    assert_all_is_well()
    assert_looked_after()
