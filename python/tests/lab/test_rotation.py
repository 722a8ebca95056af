"""Rotation of certificates and secrets: everything is new afterwards, nothing was cut off, no document was lost."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest
from lab_door import LAB, Converge, bluefleet, on
from lab_power import ask_unit
from lab_queue import LabQueue

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

STATE = LAB / ".state"
AUTHORITIES = ("site", "engine")
INSTANCE = "docker inspect --format '{{.Id}} {{.State.StartedAt}}' bluefleet-mini-beamline"


def certificates() -> dict[str, bytes]:
    """Every certificate of the site, by name."""
    return {str(path.relative_to(STATE)): path.read_bytes() for path in (STATE / "pki").rglob("*.crt")}


def assert_documents_whole(run: str) -> None:
    """The run is the same in spool, Kafka, Mongo and Tiled."""
    verified = bluefleet("documents", "verify", run, "--wait", "60")
    assert verified.returncode == 0, verified.stderr


@pytest.mark.minutes
def test_certificates_rotate_under_a_running_plan_and_no_document_is_lost(queue: LabQueue, tmp_path: Path) -> None:
    before, instance = certificates(), on("node1", INSTANCE)
    run = queue.start("count", ["pinhole"], num=5000, delay=0.3)
    rotation = Converge(
        tmp_path / "told.json", "-e", "interrupt_runs=true", playbook="playbooks/rotate_certificates.yml"
    )
    try:
        # Kafka is made anew for its certificate; the worker goes on and its documents wait in the spool.
        rotation.finish(800).well()
    finally:
        # The client of the fixture trusts the authority that is gone.
        after = LabQueue()
        state = after.status()["manager_state"]
        after.stop()
        after.close()
    assert state == "executing_queue"
    assert_documents_whole(run)

    assert on("node1", INSTANCE) == instance
    now = certificates()
    assert now.keys() == before.keys()
    assert not [name for name in now if now[name] == before[name]]
    for authority in AUTHORITIES:
        assert now[f"pki/{authority}/bundle.crt"] == now[f"pki/{authority}/ca.crt"]
    assert on("node1", "cat /etc/bluefleet/pki/engine/ca.crt").encode() == now["pki/engine/ca.crt"]


@pytest.mark.faults
@pytest.mark.minutes
def test_a_rotation_is_refused_before_it_begins_while_a_plan_runs(queue: LabQueue, tmp_path: Path) -> None:
    before = certificates()
    run = queue.start("count", ["pinhole"], num=2000, delay=0.3)
    playbooks = ("rotate_certificates", "rotate_secrets")
    refused = [Converge(tmp_path / "told.json", playbook=f"playbooks/{name}.yml").finish() for name in playbooks]
    queue.stop()
    for each in refused:
        assert each.code != 0
        assert run in each.text, each.text[-3000:]
        assert "interrupt_runs=true" in each.text
    assert certificates() == before


@pytest.mark.minutes
def test_secrets_rotate_and_the_old_ones_are_refused(queue: LabQueue, tmp_path: Path) -> None:
    old = {path.name: path.read_text() for path in (STATE / "secrets").iterdir()}
    Converge(tmp_path / "told.json", playbook="playbooks/rotate_secrets.yml").finish(400).well()
    assert not [path.name for path in (STATE / "secrets").iterdir() if old.get(path.name) == path.read_text()]
    assert ask_unit("GET", "/outlets", old["power_unit_token"])[0] == httpx.codes.UNAUTHORIZED
    assert ask_unit("GET", "/outlets")[0] == httpx.codes.OK
    # The client of the fixture has the old key.
    end = time.monotonic() + 10
    while (answer := _answer_to_the_old_key(queue)) != httpx.codes.UNAUTHORIZED:
        assert time.monotonic() < end, f"the old key is answered with {answer}"
        time.sleep(0.5)
    new = LabQueue()
    new.open()
    run = new.start("count", ["pinhole"], num=3)
    new.wait(lambda status: status["manager_state"] == "idle", "idle")
    new.close()
    assert_documents_whole(run)


def _answer_to_the_old_key(queue: LabQueue) -> int:
    # The status is public; what is queued is not.
    return queue._client.get("queue/get").status_code  # its questions expect to be answered
