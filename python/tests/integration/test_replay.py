"""Sending again, with a real Kafka, Mongo and Tiled: what is lacking is stored, what is there stays as it is."""

import contextlib
import sqlite3
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymongo
import pytest
from confluent_kafka import Producer
from document_stack import API_KEY, SITE, Stack, docker, sink_options, wait_for
from test_document_path import ask, every_kind, publish, tiled, with_documents

from bluefleet.documents.ask import Asker, Place
from bluefleet.documents.backlog import Backlog, ask_backlog
from bluefleet.documents.codec import encode
from bluefleet.documents.digest import Digester
from bluefleet.documents.errors import NotFound, Unavailable
from bluefleet.documents.kafka import client_settings
from bluefleet.documents.replay_report import Letter, Letters, Replayed
from bluefleet.documents.resend import resend
from bluefleet.documents.run_digest import RunDigest
from bluefleet.documents.spool_store import Spooled
from bluefleet.documents.verify import differing
from patience import PATIENCE

REFUSED_ONCE = """
import sys, threading
import httpx
from bluesky_tiled_plugins.writing.tiled_writer import _RunWriter
from tiled.client.dataframe import DataFrameClient
from bluefleet.documents import codec
from bluefleet.documents.consumer import Received
from bluefleet.documents.patience import Patience
from bluefleet.documents.settings import TiledSettings
from bluefleet.documents.tiled_run import RunRecorder
from bluefleet.documents.tiled_sink import TiledSink

append, register = DataFrameClient.append_partition, _RunWriter._update_data_source_for_node
refused = int(sys.argv[1])

def refuse(uri):
    request = httpx.Request("PATCH", uri)
    raise httpx.HTTPStatusError("unprocessable", request=request, response=httpx.Response(422, request=request))

def append_but_one(self, partition, rows):
    return refuse(self.uri) if refused in rows["seq_num"].to_pylist() else append(self, partition, rows)

def register_but_one(self, node, source, patch):
    at_fault = patch.offset[0] <= refused - 1 < patch.offset[0] + patch.shape[0]
    return refuse(node.uri) if at_fault else register(self, node, source, patch)

documents = [codec.decode(bytes.fromhex(line.strip())) for line in open("/documents")]
run = documents[0][1]["uid"]
batch = [Received(offset, run, *document) for offset, document in enumerate(documents)]
letters = [
    each for each in batch
    if each.document.get("seq_num") == refused or each.document.get("indices", {}).get("stop") == refused
]
offsets = {each.offset for each in letters}
sink = TiledSink(TiledSettings.from_environment())
sink.prepare()
patience = Patience(threading.Event())

make = RunRecorder._find_or_make_stream
RunRecorder._find_or_make_stream = lambda self, name, doc: refuse(self.client.uri)
assert [each.offset for each in sink.write(batch[:2], patience)] == [1], "the descriptor"
RunRecorder._find_or_make_stream = make
assert sink.write(batch[1:2], patience) == []

if "--unfit" in sys.argv:
    unfit = [each for each in letters if each.name == "event"]
    for some in (batch[2:-1], unfit, unfit):
        assert [each.offset for each in sink.write(some, patience)] == [unfit[0].offset]
    assert sink.write(batch[-1:], patience) == []
    sys.exit()

DataFrameClient.append_partition, _RunWriter._update_data_source_for_node = append_but_one, register_but_one
for some in (batch[2:-1], letters):
    assert {each.offset for each in sink.write(some, patience)} == offsets
DataFrameClient.append_partition, _RunWriter._update_data_source_for_node = append, register
for _ in range(2):
    assert sink.write(letters, patience) == []
assert sink.write(batch[-1:], patience) == []
print(sink.holds(run).model_dump_json())
"""

HASTY = """
from bluefleet.documents import awaited_runs, listening, tiled_sink
awaited_runs.SILENT_AGAIN = 3.0
listening.BROUGHT_AFTER = 0.0
tiled_sink.main()
"""

pytestmark = pytest.mark.timeout(300)
# A second try would hide what is lost or doubled once in a while.
tried_once = pytest.mark.flaky(reruns=0)

SINKS = ("mongo-sink", "tiled-sink")


def place(stack: Stack, service: str) -> Place:
    return Place(service, f"http://{stack.addresses[service]}:8400")


@contextmanager
def hasty_sink(stack: Stack, images: dict[str, str]) -> Iterator[str]:
    """In the Tiled sink's place, with its position: one that is less patient; its name."""
    stack.stop("tiled-sink")
    service = f"hasty-sink-{uuid.uuid4().hex[:4]}"
    stack.run(service, images["tiled"], "python", "-c", HASTY, options=sink_options(stack))
    try:
        yield service
    finally:
        stack.stop(service)
        stack.start("tiled-sink")


def replay(stack: Stack, path: str, content: dict[str, Any] | None = None) -> Replayed:
    """Have the forwarder send something again, and wait until both sinks have seen it."""
    said = Asker(None).post(place(stack, "forwarder"), path, content or {}, deadline=60)
    done = Replayed.model_validate(said)
    for sink in SINKS:
        wait_for(lambda at=sink: ask(stack, at)["position"] >= (done.end or 0), f"{sink} has seen it")
    return done


def letters(stack: Stack, run: str) -> list[Letter]:
    said = Asker(None).get(place(stack, "forwarder"), "dead", deadline=30)
    return [letter for letter in Letters.model_validate(said).letters if letter.run == run]


def backlog(stack: Stack) -> Backlog:
    return ask_backlog(Asker(None), place(stack, "forwarder"), [place(stack, sink) for sink in SINKS], deadline=5)


def forget_in_databases(stack: Stack, uid: str, descriptors: list[str]) -> None:
    """As after databases were restored from an older backup."""
    with pymongo.MongoClient(stack.addresses["mongo"], retryWrites=False) as client:
        database = client[f"{SITE}-bluesky-documents"]
        database["event"].delete_many({"descriptor": {"$in": descriptors}})
        database["run_start"].delete_many({"uid": uid})
        for collection in ("run_stop", "event_descriptor", "resource", "stream_resource"):
            database[collection].delete_many({"run_start": uid})
    url = f"http://{stack.addresses['tiled']}:8000/api/v1/metadata/runs/{uid}?recursive=true&external_only=false"
    request = urllib.request.Request(url, headers={"Authorization": f"Apikey {API_KEY}"}, method="DELETE")
    urllib.request.urlopen(request, timeout=30 * PATIENCE).close()  # noqa: S310 - http


@tried_once
def test_a_run_that_is_sent_again_changes_nothing(stack: Stack) -> None:
    documents = every_kind(pages=False, scan_id=21)
    uid = publish(stack, documents)
    before = stack.verify(uid)
    assert before.equal, before.differences
    planned = Asker(None).get(place(stack, "forwarder"), f"replay/{uid[:8]}", deadline=30)
    done = replay(stack, f"replay/{uid[:8]}")
    assert (done.run, done.source, done.documents) == (uid, "spool", len(documents))
    assert planned["documents"] == len(documents)
    assert stack.verify(uid).places == before.places
    assert letters(stack, uid) == []


@tried_once
@pytest.mark.parametrize("source", ["spool", "kafka"])
def test_a_run_that_the_databases_lost_is_back_after_a_replay(stack: Stack, source: str) -> None:
    documents = every_kind(pages=True, scan_id=22)
    writer = f"lost-{source}"
    uid = publish(stack, documents, writer)
    before = stack.verify(uid)
    assert before.equal, before.differences
    forget_in_databases(stack, uid, [document["uid"] for name, document in documents if name == "descriptor"])
    differing = stack.verify(uid, wait=0).differences
    assert {text.partition(":")[0] for text in differing} == {"mongo", "tiled"}
    if source == "kafka":
        with contextlib.closing(sqlite3.connect(stack.spool / f"{writer}.sqlite", timeout=30 * PATIENCE)) as connection:
            for table in ("documents", "deliveries", "runs"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - one of three words
            connection.commit()
    done = replay(stack, f"replay/{uid}")
    assert (done.source, done.documents) == (source, len(documents))
    after = stack.verify(uid)
    assert after.equal, after.differences
    assert (after.places["mongo"], after.places["tiled"]) == (before.places["mongo"], before.places["tiled"])


@tried_once
def test_a_replay_that_is_broken_off_is_let_go_of_and_said_until_it_is_made_whole(
    stack: Stack, images: dict[str, str]
) -> None:
    documents = every_kind(pages=False, scan_id=28)
    uid = publish(stack, documents)
    before = stack.verify(uid)
    assert before.equal, before.differences
    with hasty_sink(stack, images) as hasty:
        at = wait_for(lambda: max(0, ask(stack, hasty)["committed"]), "the sink at work", 60)
        some = [Spooled(seq, uid, name, 0.0, encode(name, it)) for seq, (name, it) in enumerate(documents[:-1])]
        resend(stack.internal, some, lambda _: None)
        wait_for(lambda: ask(stack, hasty)["position"] >= at + len(some), "all that was sent is read")
        assert ask(stack, hasty)["committed"] < at + len(some)
        # Nothing else comes, and it is let go of all the same.
        (problem,) = wait_for(lambda: ask(stack, hasty)["problems"], "the replay is given up")
        assert f"run {uid} was sent again and broken off" in problem
        said = wait_for(lambda: (it := ask(stack, hasty))["committed"] == it["position"] and it, "a commit")
        assert said["rejected"] == 0
        Asker(None).post(place(stack, "forwarder"), f"replay/{uid}", {}, deadline=60)
        wait_for(lambda: ask(stack, hasty)["ok"], "all well when all of it was sent")
    after = stack.verify(uid)
    assert after.equal, after.differences
    assert after.places["tiled"] == before.places["tiled"]


def test_a_second_copy_of_a_start_that_comes_after_the_stop_holds_nothing_up(
    stack: Stack, images: dict[str, str]
) -> None:
    documents = every_kind(pages=False, scan_id=29)
    uid = publish(stack, documents)
    assert stack.verify(uid).equal
    with hasty_sink(stack, images) as hasty:
        at = wait_for(lambda: max(0, ask(stack, hasty)["committed"]), "the sink at work", 60)
        producer = Producer(client_settings(stack.internal))
        producer.produce(f"{SITE}.bluesky.documents", value=encode(*documents[0]), key=uid.encode())
        producer.flush(10)
        said = wait_for(lambda: (it := ask(stack, hasty))["committed"] > at and it, "a commit beyond it")
        assert said["ok"], said["problems"]
    assert stack.verify(uid).equal


def test_a_run_that_nobody_has_is_not_sent(stack: Stack) -> None:
    for reference in ("deadbeef", "11111111-2222-3333-4444-555555555555"):
        with pytest.raises(NotFound, match="no run"):
            replay(stack, f"replay/{reference}")


@tried_once
def test_dead_letters_are_shown_sent_again_and_put_away(stack: Stack) -> None:
    documents = every_kind(pages=False, scan_id=23, whole=True)
    uid = documents[0][1]["uid"]
    events = [item for item in documents if item[0] == "event"][:2]
    producer = Producer(client_settings(stack.internal))
    # Events before their run: Tiled has no place for them, Mongo keeps them anyhow.
    for body in (*(encode(*event) for event in events), b"\xc1 not msgpack"):
        producer.produce(f"{SITE}.bluesky.documents", value=body, key=uid.encode())
    producer.flush(10)
    waiting = wait_for(lambda: len(found := letters(stack, uid)) == 4 and found, "four dead letters")
    assert sorted((letter.sink, letter.name) for letter in waiting) == [
        ("mongo-sink", "unreadable"),
        *[("tiled-sink", "event")] * 2,
        ("tiled-sink", "unreadable"),
    ]
    of_events = [letter for letter in waiting if letter.name == "event"]
    assert [letter.seq_num for letter in of_events] == [1, 2]
    assert "its start document did not come" in of_events[0].reason
    shown = Asker(None).get(place(stack, "forwarder"), f"dead/{of_events[1].number}", deadline=30)
    assert shown["document"]["uid"] == events[1][1]["uid"]

    # Sent again too early they come back, as new letters.
    numbers = [letter.number for letter in waiting]
    done = replay(stack, "dead/replay", {"numbers": numbers})
    assert done.documents == 2
    assert len(done.unreadable) == 2
    back = [letter for letter in letters(stack, uid) if letter.number not in numbers]
    assert [letter.seq_num for letter in back] == [1, 2]

    publish(stack, [item for item in documents if item not in events])
    assert not stack.verify(uid, wait=2).equal
    done = replay(stack, "dead/replay", {"numbers": [letter.number for letter in back]})
    assert done.documents == 2
    held = ask(stack, "tiled-sink", f"/runs/{uid}")["streams"]["primary"]
    assert (held["seq_nums"], held["doubled"]) == ("1-40", [])
    assert held == ask(stack, "mongo-sink", f"/runs/{uid}")["streams"]["primary"] | {"descriptors": held["descriptors"]}

    unreadable = [letter.number for letter in waiting if letter.name == "unreadable"]
    assert [letter.number for letter in letters(stack, uid)] == unreadable
    replay(stack, "dead/dismiss", {"numbers": unreadable, "reason": "a test wrote it"})
    assert letters(stack, uid) == []
    # Nobody has to remember: it is in the topic.
    stack.restart("forwarder")
    assert wait_for(lambda: letters(stack, uid) == [] or None, "the same after a restart") is True


@tried_once
@pytest.mark.parametrize("refused", [5, 40])
def test_a_letter_that_is_sent_again_while_its_run_is_open_is_stored(
    stack: Stack, images: dict[str, str], tmp_path: Path, refused: int
) -> None:
    documents = every_kind(pages=False, scan_id=26, whole=True)
    digester = Digester(documents[0][1]["uid"])
    for name, document in documents:
        digester.add(name, document)
    said = with_documents(stack, images, tmp_path, REFUSED_ONCE, documents, str(refused))
    expected, found = digester.finish(), RunDigest.model_validate_json(said.splitlines()[-1])
    assert differing(expected, found, "the run") == []
    stream = tiled(stack, f"search/runs/{expected.run}/primary")["data"]
    shapes = {child["id"]: child["attributes"]["structure"].get("shape") for child in stream}
    assert (shapes["camera"][0], shapes["stream_camera"][0]) == (40, 40)


def test_an_event_whose_frame_is_none_is_refused_each_time_and_its_run_ends(
    stack: Stack, images: dict[str, str], tmp_path: Path
) -> None:
    documents = every_kind(pages=False, scan_id=27, whole=True)
    seventh = [document for name, document in documents if name == "datum"][6]
    seventh["datum_kwargs"] = {"indices": {"start": "nowhere", "stop": 7}}
    with_documents(stack, images, tmp_path, REFUSED_ONCE, documents, "7", "--unfit")
    held = ask(stack, "tiled-sink", f"/runs/{documents[0][1]['uid']}")
    assert (held["exit_status"], held["streams"]["primary"]["seq_nums"]) == ("success", "1-40")


def test_a_letter_that_is_not_there_is_said_so(stack: Stack) -> None:
    with pytest.raises(NotFound, match="there is no dead letter 9999"):
        replay(stack, "dead/replay", {"numbers": [9999]})
    with pytest.raises(Unavailable, match="right is /dead/replay"):
        replay(stack, "dead/burn", {"numbers": [1]})


def test_the_backlog_says_what_waits_where_for_how_long_and_why(stack: Stack) -> None:
    wait_for(lambda: backlog(stack).ok, "nothing wrong")
    docker("pause", f"{stack.name}-mongo")
    try:
        uid = publish(stack, every_kind(pages=False, scan_id=24))

        def told() -> Any:
            (row,) = (row for row in backlog(stack).waiting if row.target == "mongo-sink")
            return row.documents and row.oldest_age > 1 and row

        row = wait_for(told, "documents that wait for Mongo", 30)
        assert row.source == "kafka"
    finally:
        docker("unpause", f"{stack.name}-mongo")
    assert stack.verify(uid).equal
    wait_for(lambda: not any(row.documents for row in backlog(stack).waiting), "nothing that waits")

    docker("stop", "--time", "1", f"{stack.name}-kafka")
    try:
        publish(stack, every_kind(pages=False, scan_id=25), "cut-off")

        def cut_off() -> Any:
            (row,) = (row for row in backlog(stack).waiting if row.source == "cut-off")
            return row.documents and "Kafka at" in row.reason and row

        wait_for(cut_off, "documents that wait for Kafka, and that it is away", 30)
        assert not backlog(stack).ok
    finally:
        docker("start", f"{stack.name}-kafka")
    wait_for(lambda: backlog(stack).ok and not any(row.documents for row in backlog(stack).waiting), "all well", 120)
