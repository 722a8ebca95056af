"""Which run a document belongs to."""

from event_model import compose_run

from bluefleet.documents.runs import RunTracker


def test_every_kind_of_document_finds_its_run() -> None:
    tracker = RunTracker()
    run, other = compose_run(), compose_run()
    uid = run.start_doc["uid"]
    stream = run.compose_descriptor(
        name="primary",
        data_keys={
            "cam": {
                "dtype": "array",
                "shape": [2],
                "source": "s",
                "external": "STREAM:",
            }
        },
        object_keys={},
        configuration={},
        hints={},
    )
    resource = run.compose_resource(spec="X", root="/", resource_path="a", resource_kwargs={})
    frames = run.compose_stream_resource(
        mimetype="application/x-hdf5",
        uri="file://localhost/a.h5",
        data_key="cam",
        parameters={},
    )
    datum = resource.compose_datum(datum_kwargs={})
    documents = [
        ("start", run.start_doc),
        ("start", other.start_doc),
        ("descriptor", stream.descriptor_doc),
        ("resource", resource.resource_doc),
        ("stream_resource", frames.stream_resource_doc),
        ("datum", datum),
        (
            "datum_page",
            {
                "resource": resource.resource_doc["uid"],
                "datum_id": [],
                "datum_kwargs": {},
            },
        ),
        (
            "stream_datum",
            frames.compose_stream_datum(indices={"start": 0, "stop": 1}, descriptor=stream.descriptor_doc),
        ),
        (
            "event",
            stream.compose_event(data={}, timestamps={}, filled={}, validate=False),
        ),
        ("stop", run.compose_stop()),
    ]
    owners = [tracker.run_of(name, dict(document)) for name, document in documents]
    assert owners == [uid, other.start_doc["uid"], *[uid] * 8]
    assert tracker.open_runs == [other.start_doc["uid"]]


def test_a_resource_without_a_run_belongs_to_the_one_that_goes_on() -> None:
    tracker = RunTracker()
    tracker.run_of("start", {"uid": "first"})
    assert tracker.run_of("resource", {"uid": "r"}) == "first"
    tracker.run_of("start", {"uid": "second"})
    assert tracker.run_of("datum", {"resource": "r"}) == "first"


def test_what_belongs_nowhere_says_so() -> None:
    assert RunTracker().run_of("event", {"descriptor": "unknown"}) is None
