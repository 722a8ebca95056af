"""Summing up a run so that equal means equal and different means different."""

import copy
import math
from typing import Any

import event_model
import numpy as np
import pytest
from documents_of_runs import Documents, make_run, uid_of

from bluefleet.documents.canonical import canonical
from bluefleet.documents.codec import plain
from bluefleet.documents.digest import Digester, ranges
from bluefleet.documents.known_events import KnownEvents
from bluefleet.documents.pages import singles
from bluefleet.documents.run_digest import RunDigest


def summed(documents: Documents) -> RunDigest:
    digester = Digester(uid_of(documents))
    for name, document in documents:
        digester.add(name, document)
    return digester.finish()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        ([1, 2], np.array([1.0, 2.0])),
        (np.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]]),
        ((1, "a"), [1, "a"]),
        ({"a": 1, "b": None}, {"a": 1.0}),
        ({"a": math.nan}, {"a": None}),
        ([1.0, math.nan], [1.0, None]),
        (np.array([True, False]), [1.0, 0.0]),
        (10**20, 1e20),
        (0.0, -0.0),
    ],
    ids=str,
)
def test_the_same_measurement_is_equal_however_it_is_stored(one: Any, other: Any) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0000000001),
        (1, True),
        (1, "1"),
        ([1, 2], [2, 1]),
        ([1, 2], [[1, 2]]),
        ([], [0]),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        (2**60, 2**60 + 1),
        ([2**60], [2**60 + 1]),
        ("ab", ["a", "b"]),
        (math.inf, -math.inf),
    ],
    ids=str,
)
def test_different_measurements_differ(one: Any, other: Any) -> None:
    assert canonical(one) != canonical(other)


def test_a_run_is_what_it_is_in_pages_as_bson_and_out_of_order() -> None:
    run = make_run(20)
    events = [document for name, document in run if name == "event"]
    paged = [*run[:2], ("event_page", event_model.pack_event_page(*events)), run[-1]]
    shuffled = [*run[:2], *reversed(run[2:-1]), run[-1]]
    assert summed(run) == summed([(name, plain(document)) for name, document in run])
    assert summed(run) == summed(paged) == summed(shuffled)


def test_a_redelivered_document_counts_once() -> None:
    run = make_run(5)
    twice = summed([*run, *run])
    assert twice.redelivered == len(run)
    assert twice.streams == summed(run).streams


def test_a_changed_value_a_missing_event_and_a_changed_start_show() -> None:
    run = make_run(5)
    changed = copy.deepcopy(run)
    changed[4][1]["data"]["motor"] += 1e-9
    assert summed(changed).streams["primary"].data != summed(run).streams["primary"].data
    assert summed(changed).streams["primary"].seq_nums == "1-5"
    assert summed(run[:4] + run[5:]).streams["primary"].seq_nums == "1-2,4-5"
    changed[0][1]["sample"] = "other"
    assert summed(changed).start != summed(run).start


def with_frames(*ranges_of_frames: tuple[int, int]) -> Documents:
    """A run of frames: of one camera in stream documents, of another one in a datum for each of two events."""
    run = event_model.compose_run()
    keys = {
        key: {"dtype": "array", "shape": [1, 5, 6], "source": "SIM", "external": kind}
        for key, kind in (("stream_camera", "STREAM:"), ("camera", "FILESTORE:"))
    }
    stream = run.compose_descriptor(
        name="primary", data_keys=keys, object_keys={"x": list(keys)}, configuration={}, hints={}
    )
    resource = run.compose_resource(spec="AD_TIFF", root="/", resource_path="x", resource_kwargs={})
    frames = run.compose_stream_resource(
        mimetype="application/x-hdf5", uri="file://localhost/f.h5", data_key="stream_camera", parameters={}
    )
    documents: Documents = [
        ("start", run.start_doc),
        ("descriptor", stream.descriptor_doc),
        ("resource", resource.resource_doc),
        ("stream_resource", frames.stream_resource_doc),
    ]
    for start, stop in ranges_of_frames:
        datum = frames.compose_stream_datum(indices={"start": start, "stop": stop}, descriptor=stream.descriptor_doc)
        documents.append(("stream_datum", datum))
    for number in range(2):
        datum = resource.compose_datum(datum_kwargs={"point_number": number})
        data = {"camera": datum["datum_id"]}
        event = stream.compose_event(
            data=data, timestamps=dict.fromkeys(data, 1.0 + number), filled={"camera": False}, validate=False
        )
        documents += [("datum", datum), ("event", event)]
    return documents


def test_frames_of_stream_documents_are_counted_once() -> None:
    run = with_frames((0, 1), (1, 4))
    assert summed(run).streams["primary"].frames == {"stream_camera": 4}
    assert summed([*run, *run]).streams == summed(run).streams


def test_pages_are_taken_apart_as_event_model_does() -> None:
    events = [document for name, document in make_run(3) if name == "event"]
    page = event_model.pack_event_page(*events)
    assert [single for _, single in singles("event_page", page)] == list(event_model.unpack_event_page(page))
    datums = [{"datum_id": f"r/{n}", "resource": "r", "datum_kwargs": {"frame": n}} for n in range(3)]
    page = event_model.pack_datum_page(*datums)
    assert [single for _, single in singles("datum_page", page)] == datums


def test_ranges_are_short() -> None:
    assert ranges([]) == ""
    assert ranges([1, 2, 3, 3, 5, 7, 8]) == "1-3,5,7-8"


def test_known_events_in_order_take_little_room() -> None:
    events = KnownEvents((number, number / 7) for number in range(1, 100_001))
    events.add([(100_000, 100_000 / 7), (100_002, 1.0)])
    assert len(events) == 100_001
    assert (100_000, 100_000 / 7) in events
    assert (100_001, 1.0) not in events
    assert (0, 0.0) not in events
    assert len(events._others) == 1


def test_an_event_taken_again_is_another_one_and_one_that_comes_again_is_not() -> None:
    events = KnownEvents([(1, 1.0), (2, 2.0)])
    assert (2, 2.5) not in events
    for _ in range(2):
        events.add([(2, 2.5), (3, 3.0), (2, 2.0)])
        assert len(events) == 4
    assert (2, 2.0) in events
    assert (2, 2.5) in events
