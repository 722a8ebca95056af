"""Runs of a desktop's terminal: their spool is not the manager's, and Kafka, Mongo and Tiled have them all the same."""

import threading
from pathlib import Path
from typing import Any

import pytest
from document_stack import Stack, wait_for
from test_document_path import ask, every_kind, publish

from bluefleet.documents import Publisher, Spool
from bluefleet.documents.ask import Asker, Place
from bluefleet.documents.backlog import Waiting, ask_backlog
from bluefleet.documents.forwarder import Forwarder
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


def test_an_operator_hears_of_a_desktop_whose_documents_wait_and_of_one_that_is_off(
    stack: Stack, tmp_path: Path
) -> None:
    wait_for(lambda: ask(stack, "forwarder")["ok"], "the topics are made")
    documents = every_kind(pages=False, scan_id=37)
    with Spool(tmp_path, writer="ada") as spool:
        publisher = Publisher(spool)
        for name, document in documents:
            publisher(name, document)
    # A spool that is none: its documents wait for somebody to see to them.
    (tmp_path / "broken.sqlite").write_bytes(b"no spool, but a file of that name")
    (tmp_path / "broken.sqlite").chmod(0o600)
    settings = ForwarderSettings(
        **stack.outside("terminal").model_dump(), spool_dir=tmp_path, makes_topics=False, desktop="office"
    )
    desktop = Forwarder(settings.model_copy(update={"status_port": 0}))
    working = threading.Thread(target=desktop.run)
    working.start()

    def row(name: str = "office") -> Waiting:
        place = Place("forwarder", f"http://{stack.addresses['forwarder']}:8400")
        found = ask_backlog(Asker(None), place, [], deadline=5, desktops=["office", "attic"])
        # It speaks of none before it has heard what they told.
        return {each.source: each for each in found.waiting}[f"terminals of {name}"]

    def said_goodbye() -> bool:
        return (ask(stack, "forwarder")["desktops"] or {})["office"]["ended"]

    try:
        stuck = wait_for(lambda: "broken" in (said := row()).reason and said, "the trouble is heard of")
        assert (stuck.target, stuck.documents) == ("kafka", None)
        assert "never told" in row("attic").reason
        (tmp_path / "broken.sqlite").unlink()
        wait_for(lambda: row() == Waiting(source="terminals of office", target="kafka", documents=0), "all is well")
        assert stack.verify(documents[0][1]["uid"]).equal
    finally:
        desktop.stop()
        working.join()
    wait_for(said_goodbye, "its goodbye")
    assert row().reason == ""
    # The pod's forwarder need not have been there.
    stack.restart("forwarder")
    wait_for(said_goodbye, "what was told before")
