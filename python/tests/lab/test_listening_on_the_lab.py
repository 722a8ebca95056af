"""Whoever has the checkout of the site listens to its documents: while a run goes on, and when it is over."""

from __future__ import annotations

import json

import pytest
from lab_documents import verified
from lab_door import bluefleet
from lab_queue import LabQueue

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


def heard(*options: str) -> list[str]:
    """What the command prints; it finds address and password in the site by itself."""
    done = bluefleet("-i", "inventories/lab", "documents", "listen", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_run_is_heard_while_it_goes_on_and_whole_afterwards(queue: LabQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    # With it the site would not be asked.
    monkeypatch.delenv("BLUEFLEET_KAFKA_BOOTSTRAP", raising=False)
    uid = queue.start("count", ["det1"], num=200, delay=0.5)
    try:
        live = [json.loads(line) for line in heard("--json", "--run", uid[:8], "--count", "2")]
        assert queue.status()["re_state"] == "running", "they came before the run had ended"
    finally:
        queue.stop()
    assert [(each["run"], each["name"]) for each in live] == [(uid, "event")] * 2
    first, second = (each["document"] for each in live)
    assert second["seq_num"] == first["seq_num"] + 1
    assert "det1" in first["data"]
    events = verified(uid)["streams"]["primary"]
    count = str(events + 3)
    whole = [json.loads(line) for line in heard("--from-beginning", "--json", "--run", uid, "--count", count)]
    assert [each["name"] for each in whole] == ["start", "descriptor", *["event"] * events, "stop"]
    assert whole[0]["document"]["uid"] == whole[-1]["document"]["run_start"] == uid
    assert [each["document"]["seq_num"] for each in whole[2:-1]] == list(range(1, events + 1))
    (line,) = heard("--from-beginning", "--run", uid, "--count", "1")
    assert line.split()[1:] == [uid[:8], "start", "scan", str(whole[0]["document"]["scan_id"]), "count"]
