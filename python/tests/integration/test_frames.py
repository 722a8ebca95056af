"""Frames in files, as documents tell of them: Tiled knows of each one, whatever came late, twice, or after the stop."""

import json
import time
import urllib.error
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from document_stack import SITE, Stack, wait_for
from event_model import compose_run
from test_document_path import ask, every_kind, publish, tiled, with_documents
from test_replay import letters, replay

from bluefleet.documents import Publisher, Spool
from bluefleet.documents.codec import encode
from bluefleet.documents.kafka import ALONE, client_settings

pytestmark = pytest.mark.timeout(300)
# A second try would hide what is lost or doubled once in a while.
tried_once = pytest.mark.flaky(reruns=0)

Documents = list[tuple[str, dict[str, Any]]]
FRAMES = 40
OF_FRAMES = {"resource", "datum", "stream_resource", "stream_datum"}
CAMERAS = ("camera", "stream_camera")

#: Sinks that follow each other as after crashes: the first takes a part of the documents, each other one all of them. What
#: each told Tiled of frames is printed: array, first frame, how many.
COUNTED = """
import json, sys, threading
from bluesky_tiled_plugins.writing.tiled_writer import _RunWriter
from bluefleet.documents import codec
from bluefleet.documents.consumer import Received
from bluefleet.documents.patience import Patience
from bluefleet.documents.settings import TiledSettings
from bluefleet.documents.tiled_sink import TiledSink

told, update = [], _RunWriter._update_data_source_for_node

def counted(self, node, source, patch):
    update(self, node, source, patch)
    told[-1].append((node.item["id"], patch.offset[0], patch.shape[0]))

_RunWriter._update_data_source_for_node = counted
documents = [codec.decode(bytes.fromhex(line.strip())) for line in open("/documents")]
batch = [Received(offset, documents[0][1]["uid"], *document) for offset, document in enumerate(documents)]
for upto in (int(sys.argv[1]), len(batch), len(batch)):
    told.append([])
    sink = TiledSink(TiledSettings.from_environment())
    sink.prepare()
    assert sink.write(batch[:upto], Patience(threading.Event())) == []
print(json.dumps(told))
"""


def told_by_sinks(stack: Stack, images: dict[str, str], folder: Path, documents: Documents, first: int) -> list[Any]:
    """What sinks that follow each other told Tiled of frames; the first got so many of the documents."""
    said = with_documents(stack, images, folder, COUNTED, documents, str(first))
    return json.loads(said.splitlines()[-1])


def send(stack: Stack, documents: Documents, uid: str = "") -> None:
    """Put documents of a run into Kafka as a replay does, and wait until both sinks have come by."""
    ends: list[int] = []
    producer = Producer(client_settings(stack.internal))
    uid = uid or documents[0][1]["uid"]
    for document in documents:
        producer.produce(
            f"{SITE}.bluesky.documents",
            value=encode(*document),
            key=uid.encode(),
            on_delivery=lambda error, message: ends.append(-1 if error else message.offset() + 1),
        )
    producer.flush(20)
    assert min(ends) > 0
    for sink in ("mongo-sink", "tiled-sink"):
        wait_for(lambda at=sink: ask(stack, at)["position"] >= max(ends), f"{sink} has seen it")


def known(stack: Stack, uid: str) -> dict[str, int]:
    """How many frames of each camera Tiled knows of."""
    stream = tiled(stack, f"search/runs/{uid}/primary")["data"]
    shapes = {child["id"]: child["attributes"]["structure"].get("shape", [0]) for child in stream}
    return {camera: shapes[camera][0] for camera in CAMERAS if camera in shapes}


def files(stack: Stack, uid: str, key: str) -> list[str]:
    """The files of a key, as Tiled names them."""
    about = tiled(stack, f"metadata/runs/{uid}/primary/{key}?include_data_sources=true")["data"]["attributes"]
    return [asset["data_uri"] for source in about["data_sources"] for asset in source["assets"]]


def test_frames_that_were_missing_when_the_run_ended_are_there_after_a_replay(stack: Stack) -> None:
    documents = every_kind(pages=False, scan_id=51)
    uid = documents[0][1]["uid"]
    early = [
        (name, document)
        for name, document in documents
        if name not in {"datum", "stream_datum"} or document.get("indices", {}).get("start", FRAMES) < 10
    ]
    early = [(name, document) for name, document in early if name != "resource"]
    # Without its datums an event of a run that ends is refused, so the events are those of another time, too.
    send(stack, [(name, document) for name, document in early if name != "event"])
    wait_for(lambda: known(stack, uid) == {"stream_camera": 10}, "ten frames of a run that has ended")
    assert ask(stack, "tiled-sink", f"/runs/{uid}")["streams"]["primary"]["frames"] == {"stream_camera": 10}
    send(stack, documents)
    assert known(stack, uid) == dict.fromkeys(CAMERAS, FRAMES)
    before = ask(stack, "tiled-sink", f"/runs/{uid}")
    stored = [tiled(stack, f"metadata/runs/{uid}/primary/{camera}") for camera in CAMERAS]
    send(stack, documents)
    assert ask(stack, "tiled-sink", f"/runs/{uid}") == before
    assert [tiled(stack, f"metadata/runs/{uid}/primary/{camera}") for camera in CAMERAS] == stored
    assert letters(stack, uid) == []
    held = ask(stack, "mongo-sink", f"/runs/{uid}")["streams"]["primary"]
    assert (held["external"], before["streams"]["primary"]["seq_nums"]) == (sorted(CAMERAS), "1-40")
    assert held["frames"] == before["streams"]["primary"]["frames"] == {"stream_camera": FRAMES}


@tried_once
def test_frames_that_came_together_are_told_of_together_and_once(
    stack: Stack, images: dict[str, str], tmp_path: Path
) -> None:
    documents = every_kind(pages=False, scan_id=60)
    half, last = FRAMES // 2, [name for name, _ in documents].index("stream_datum") + 3 * (FRAMES // 2 - 1)
    first, second, third = told_by_sinks(stack, images, tmp_path, documents, last + 1)
    assert sorted(first) == [[camera, 0, half] for camera in CAMERAS]
    assert sorted(second) == [[camera, half, half] for camera in CAMERAS]
    assert third == []
    uid = documents[0][1]["uid"]
    assert known(stack, uid) == dict.fromkeys(CAMERAS, FRAMES)
    assert [len(files(stack, uid, camera)) for camera in CAMERAS] == [FRAMES, 1]


@tried_once
def test_frames_of_two_resources_of_one_key_keep_their_order(
    stack: Stack, images: dict[str, str], tmp_path: Path
) -> None:
    run = compose_run(metadata={"scan_id": 61})
    keys = {
        "stream_camera": {
            "dtype": "array",
            "shape": [1, 5, 6],
            "external": "STREAM:",
            "dtype_numpy": "<u1",
            "source": "SIM",
        }
    }
    stream = run.compose_descriptor(
        name="primary", data_keys=keys, object_keys={"x": list(keys)}, configuration={}, hints={}
    )
    documents: Documents = [("start", run.start_doc), ("descriptor", stream.descriptor_doc)]
    for first_frame, letter in ((0, "a"), (3, "b")):
        resource = run.compose_stream_resource(
            mimetype="multipart/related;type=image/tiff", uri="file://localhost/data/", data_key="stream_camera",
            parameters={"template": letter + "_{:d}.tif", "chunk_shape": (1, 5, 6)},
        )  # fmt: skip
        documents.append(("stream_resource", resource.stream_resource_doc))
        for frame in range(first_frame, first_frame + 3):
            indices = {"start": frame, "stop": frame + 1}
            datum = resource.compose_stream_datum(indices=indices, descriptor=stream.descriptor_doc)
            documents.append(("stream_datum", datum))
    documents.append(("stop", run.compose_stop()))
    first, second, third = told_by_sinks(stack, images, tmp_path, documents, 6)
    assert (first, second, third) == ([["stream_camera", 0, 3]], [["stream_camera", 3, 3]], [])
    names = [uri.rpartition("/")[2] for uri in files(stack, documents[0][1]["uid"], "stream_camera")]
    assert names == ["a_0.tif", "a_1.tif", "a_2.tif", "b_0.tif", "b_1.tif", "b_2.tif"]


def test_a_replay_keeps_the_end_of_the_run_as_it_was(stack: Stack) -> None:
    documents = every_kind(pages=False, scan_id=52)
    uid = publish(stack, documents)
    assert stack.verify(uid).equal
    before = tiled(stack, f"metadata/runs/{uid}")
    replay(stack, f"replay/{uid}")
    assert tiled(stack, f"metadata/runs/{uid}") == before
    assert known(stack, uid) == dict.fromkeys(CAMERAS, FRAMES)


def test_frames_alone_do_not_find_their_place_and_that_is_said(stack: Stack) -> None:
    documents = every_kind(pages=False, scan_id=53)
    uid = publish(stack, documents)
    assert stack.verify(uid).equal
    frames = [item for item in documents if item[0] in {"stream_resource", "stream_datum"}][:3]
    producer = Producer(client_settings(stack.internal))
    for item in frames:
        producer.produce(f"{SITE}.bluesky.documents", value=encode(*item), key=uid.encode(), headers={ALONE: "yes"})
    producer.flush(10)
    refused = wait_for(lambda: len(found := letters(stack, uid)) == 2 and found, "two dead letters")
    assert {(letter.sink, letter.name) for letter in refused} == {("tiled-sink", "stream_datum")}
    assert f"documents replay {uid}" in refused[0].reason
    replay(stack, "dead/replay", {"numbers": [letter.number for letter in refused]})
    back = letters(stack, uid)
    assert [letter.uid for letter in back] == [letter.uid for letter in refused]
    assert back[0].number > refused[1].number
    assert known(stack, uid) == dict.fromkeys(CAMERAS, FRAMES)


@tried_once
def test_a_sink_that_reads_the_end_of_a_run_again_refuses_nothing(stack: Stack) -> None:
    ended, open_run = every_kind(pages=False, scan_id=56), every_kind(pages=False, scan_id=57)
    ended_uid, open_uid = (documents[0][1]["uid"] for documents in (ended, open_run))
    begin = ask(stack, "tiled-sink")["position"]
    send(stack, ended[:50])
    send(stack, open_run[:30])
    send(stack, ended[50:], ended_uid)
    # It begins again at the start of the run that is open, behind that of the one that has ended.
    wait_for(lambda: ask(stack, "tiled-sink")["committed"] == begin + 50, "the start of the open run is committed")
    stack.restart("tiled-sink")
    send(stack, open_run[30:], open_uid)
    assert letters(stack, ended_uid) == letters(stack, open_uid) == []
    for uid in (ended_uid, open_uid):
        verdict = stack.verify(uid)
        assert verdict.equal, verdict.differences
        assert known(stack, uid) == dict.fromkeys(CAMERAS, FRAMES)


@tried_once
def test_documents_that_are_delivered_again_after_the_end_change_nothing(stack: Stack) -> None:
    documents = every_kind(pages=False, scan_id=58)
    uid = publish(stack, documents)
    before = stack.verify(uid)
    assert before.equal, before.differences
    send(stack, documents[-20:], uid)
    assert letters(stack, uid) == []
    assert stack.verify(uid).places["tiled"] == before.places["tiled"]
    assert known(stack, uid) == dict.fromkeys(CAMERAS, FRAMES)


@tried_once
def test_a_sink_that_is_killed_again_and_again_knows_of_every_frame(stack: Stack, tmp_path: Path) -> None:
    documents = every_kind(pages=False, scan_id=54)
    uid = documents[0][1]["uid"]
    with Spool(stack.spool, writer="frames") as spool:
        into_spool = Publisher(spool)
        for number, (name, document) in enumerate(documents):
            into_spool(name, document)
            time.sleep(0.05)
            if number in {30, 75} or name == "stop":
                stack.restart("tiled-sink", away=0.2)
    verdict = stack.verify(uid)
    assert verdict.equal, verdict.differences
    assert known(stack, uid) == dict.fromkeys(CAMERAS, FRAMES)


def box_run(scan_id: int, uri: str, template: str) -> Documents:
    """Three files of a kind that nobody reads."""
    run = compose_run(metadata={"scan_id": scan_id})
    keys = {"box": {"dtype": "array", "shape": [1], "source": "SIM", "external": "STREAM:"}}
    stream = run.compose_descriptor(
        name="primary", data_keys=keys, object_keys={"box": ["box"]}, configuration={}, hints={}
    )
    resource = run.compose_stream_resource(
        mimetype="application/octet-stream", uri=uri, data_key="box", parameters={"template": template}
    )
    documents: Documents = [("start", run.start_doc), ("descriptor", stream.descriptor_doc)]
    documents.append(("stream_resource", resource.stream_resource_doc))
    for number in range(3):
        indices = {"start": number, "stop": number + 1}
        datum = resource.compose_stream_datum(indices=indices, descriptor=stream.descriptor_doc)
        documents.append(("stream_datum", datum))
    documents.append(("stop", run.compose_stop()))
    return documents


def test_files_of_a_kind_that_nobody_reads_are_listed_all_the_same(stack: Stack) -> None:
    documents = box_run(55, "file://localhost/data/", "box_%d.raw")
    uid = publish(stack, documents)
    verdict = stack.verify(uid)
    assert verdict.equal, verdict.differences
    assert len(files(stack, uid, "box")) == 3
    send(stack, documents)
    assert len(files(stack, uid, "box")) == 3


def test_a_listed_file_is_not_handed_out_as_it_is(stack: Stack) -> None:
    uid = publish(stack, box_run(59, "file://localhost/data/", "box_%d.raw"))
    assert stack.verify(uid).equal
    about = tiled(stack, f"metadata/runs/{uid}/primary/box?include_data_sources=true")["data"]["attributes"]
    asset = about["data_sources"][0]["assets"][0]["id"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        tiled(stack, f"asset/bytes/runs/{uid}/primary/box?id={asset}")
    assert refused.value.code == 403
    assert "not to allow downloading raw assets" in refused.value.read().decode()


@pytest.mark.parametrize(
    ("uri", "template", "refused"),
    [
        ("file://localhost/etc/tiled/key.yml", "", {"stream_resource", "stream_datum"}),
        ("file://localhost/data/../etc/tiled/key.yml", "", {"stream_resource", "stream_datum"}),
        ("file://localhost/data/", "../etc/tiled/key_%d.yml", {"stream_datum"}),
    ],
    ids=["elsewhere", "up and elsewhere", "by its template"],
)
def test_files_elsewhere_never_come_into_tiled_and_that_is_said(
    stack: Stack, uri: str, template: str, refused: set[str]
) -> None:
    uid = publish(stack, box_run(60, uri, template))
    found = wait_for(lambda: len(some := letters(stack, uid)) > 2 and some, "dead letters")
    assert {(letter.sink, letter.name) for letter in found} == {("tiled-sink", name) for name in refused}
    assert "not in a folder that Tiled reads frames from (/data;" in found[0].reason
    wait_for(lambda: "stop" in tiled(stack, f"metadata/runs/{uid}")["data"]["attributes"]["metadata"], "its end")
    for child in tiled(stack, f"search/runs/{uid}/primary?include_data_sources=true")["data"]:
        assert not [asset for source in child["attributes"]["data_sources"] for asset in source["assets"]]


def test_an_old_resource_elsewhere_is_refused_and_its_event_keeps_its_numbers(stack: Stack) -> None:
    documents = every_kind(pages=False, scan_id=61)
    documents = [
        (name, document | {"root": "/etc", "resource_path": "tiled"} if name == "resource" else document)
        for name, document in documents
    ]
    uid = publish(stack, documents)
    found = wait_for(lambda: len(some := letters(stack, uid)) >= FRAMES and some, "dead letters")
    assert {(letter.sink, letter.name) for letter in found} == {("tiled-sink", "event")}
    assert "file://localhost/etc/tiled" in found[0].reason
    assert "camera" not in known(stack, uid)
    assert ask(stack, "tiled-sink", f"/runs/{uid}")["streams"]["primary"]["seq_nums"] == "1-40"
