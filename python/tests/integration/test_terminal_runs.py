"""Runs of a desktop's terminal: their spool is not the manager's, and Kafka, Mongo and Tiled have them all the same."""

import threading
from pathlib import Path
from typing import Any

import pytest
from document_stack import Stack, wait_for
from test_document_path import ask, every_kind, publish

from bluefleet.documents import Publisher, Spool
from bluefleet.documents.lane import Lane
from bluefleet.documents.settings import ForwarderSettings

pytestmark = pytest.mark.timeout(300)


def at_a_terminal(stack: Stack, folder: Path, documents: list[tuple[str, dict[str, Any]]]) -> str:
    """Take a run as a desktop does, with a spool and a forwarder there; its uid once Kafka has it."""
    settings = ForwarderSettings(**stack.outside("terminal").model_dump(), spool_dir=folder, makes_topics=False)
    with Spool(folder, writer="ada") as spool:
        publisher = Publisher(spool)
        for name, document in documents:
            publisher(name, document | ({"desktop": "office"} if name == "start" else {}))
    stopping = threading.Event()
    lane = Lane(folder / "ada.sqlite", settings, stopping)
    lane.start()
    wait_for(lambda: lane.delivered_at, "the run is in Kafka")
    stopping.set()
    lane.join()
    return documents[0][1]["uid"]


def test_a_run_of_a_terminal_is_found_by_every_name_and_compared(stack: Stack, tmp_path: Path) -> None:
    publish(stack, every_kind(pages=False, scan_id=30), "before")
    uid = at_a_terminal(stack, tmp_path, every_kind(pages=False, scan_id=31))
    wait_for(lambda: stack.verify(uid, wait=0).equal, "it is everywhere")
    for name in ("-1", "31", uid[:8], uid):
        verdict = stack.verify(name)
        assert verdict.run == uid
        assert verdict.equal, verdict.differences
        assert verdict.notes == ["spool: on desktop office, not looked at"]
        assert [place for place, held in verdict.places.items() if held] == ["kafka", "mongo", "tiled"]
    # The queue's next run is the last one again.
    after = publish(stack, every_kind(pages=False, scan_id=40), "after")
    assert stack.verify("-1").run == after


def test_kafka_tells_of_runs_that_no_database_may_have_yet(stack: Stack, tmp_path: Path) -> None:
    end = ask(stack, "forwarder", "/started/0")["runs"]
    first = at_a_terminal(stack, tmp_path, every_kind(pages=False, scan_id=36))
    runs = ask(stack, "forwarder", "/started/0")["runs"]
    assert [run["run"] for run in runs] == [*(run["run"] for run in end), first]
    wait_for(lambda: ask(stack, "mongo-sink", "/named/-1")["runs"][0]["run"] == first, "it is in Mongo")
    assert stack.verify(first).equal
    position = ask(stack, "mongo-sink", "/named/-1")["end"]
    assert ask(stack, "forwarder", f"/started/{position}")["runs"] == []
