"""What leaves Kafka, Mongo and Tiled is bit for bit, and in the order, what a RunEngine put in; the largest documents, too."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from document_stack import API_KEY, Stack
from event_model import DocumentNames, compose_run, pack_event_page, schema_validators
from test_document_path import every_kind, publish

from bluefleet.documents.codec import DEFAULT_LIMIT, encode
from bluefleet.documents.listener import Heard, Listener
from bluefleet.documents.topic_run import messages_of
from patience import PATIENCE

pytestmark = pytest.mark.timeout(300)

Documents = list[tuple[str, dict[str, Any]]]
#: Above what Kafka and its clients take unless they are told otherwise.
KAFKAS_OWN_LIMIT = 1_048_576


def heard_of(stack: Stack, uid: str) -> list[Heard]:
    """A run as a listener outside hears it, over TLS."""
    found: list[Heard] = []
    for heard in Listener(stack.outside("listener"), from_beginning=True).messages(run=uid):
        found.append(heard)
        if heard.name == "stop":
            break
    return found


def stored_array(stack: Stack, uid: str, key: str) -> bytes:
    """The bytes of an array in Tiled."""
    url = f"http://{stack.addresses['tiled']}:8000/api/v1/array/full/runs/{uid}/primary/{key}"
    request = urllib.request.Request(
        url, headers={"Authorization": f"Apikey {API_KEY}", "Accept": "application/octet-stream"}
    )
    with urllib.request.urlopen(request, timeout=30 * PATIENCE) as answer:  # noqa: S310 - http
        return answer.read()


def arrays(documents: Documents, key: str) -> list[Any]:
    """A key's values, of events and of pages."""
    return [
        value
        for name, document in documents
        if name in {"event", "event_page"}
        for value in ([document["data"][key]] if name == "event" else document["data"][key])
    ]


@pytest.mark.parametrize("pages", [False, True], ids=["events", "pages"])
def test_every_document_comes_out_as_it_went_in(stack: Stack, pages: bool) -> None:
    documents = every_kind(pages=pages, scan_id=71)
    uid = publish(stack, documents)
    # Which waits until all of it has arrived.
    assert stack.verify(uid).equal
    assert [body for _, body in messages_of(stack.internal, uid)] == [encode(*document) for document in documents]
    heard = [(each.name, each.document) for each in heard_of(stack, uid)]
    assert [name for name, _ in heard] == [name for name, _ in documents]
    for name, document in heard:
        schema_validators[DocumentNames[name]].validate(document)
    for key in ("short", "long", "image"):
        pairs = list(zip(arrays(documents, key), arrays(heard, key), strict=True))
        assert len(pairs) == 40
        assert all((a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()) for a, b in pairs)
    for key in ("long", "image"):
        assert stored_array(stack, uid, key) == np.stack(arrays(documents, key)).tobytes()


@pytest.mark.parametrize("pages", [False, True], ids=["event", "page"])
def test_a_document_above_kafkas_own_limit_arrives_whole(stack: Stack, pages: bool) -> None:
    run = compose_run(metadata={"scan_id": 72})
    keys = {
        "spectrum": {"dtype": "array", "shape": [900_000], "dtype_numpy": "<f8", "source": "SIM"},
        "log": {"dtype": "string", "shape": [], "source": "SIM"},
    }
    stream = run.compose_descriptor(
        name="primary", data_keys=keys, object_keys={"x": list(keys)}, configuration={}, hints={}
    )
    data = {"spectrum": np.random.default_rng(1).random(900_000), "log": "x" * 200_000}
    event = stream.compose_event(data=data, timestamps=dict.fromkeys(data, 1.0))
    large = ("event_page", pack_event_page(event)) if pages else ("event", event)
    size = len(encode(*large))
    assert 7 * KAFKAS_OWN_LIMIT < size < DEFAULT_LIMIT
    documents: Documents = [("start", run.start_doc), ("descriptor", stream.descriptor_doc), large]
    uid = publish(stack, [*documents, ("stop", run.compose_stop())])
    verdict = stack.verify(uid)
    assert verdict.equal, verdict.differences
    assert verdict.streams == {"primary": 1}
    assert stored_array(stack, uid, "spectrum") == data["spectrum"].tobytes()


def test_the_command_listens_to_one_run_to_another_topic_and_in_json(stack: Stack) -> None:
    others = publish(stack, every_kind(pages=False, scan_id=73))
    documents = every_kind(pages=False, scan_id=74)
    uid = publish(stack, documents)
    settings = stack.outside("listener")
    environment = {
        **os.environ,
        "BLUEFLEET_SITE": settings.site,
        "BLUEFLEET_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "BLUEFLEET_KAFKA_CA_FILE": str(settings.kafka_ca_file),
        "BLUEFLEET_KAFKA_USERNAME": "listener",
        "BLUEFLEET_KAFKA_PASSWORD_FILE": str(settings.kafka_password_file),
    }

    def listen(*options: str) -> list[str]:
        command = [str(Path(sys.executable).parent / "bluefleet"), "documents", "listen", "--from-beginning", *options]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=90 * PATIENCE
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    said = [json.loads(line) for line in listen("--json", "--run", uid[:8], "--count", str(len(documents)))]
    assert [(each["run"], each["name"]) for each in said] == [(uid, name) for name, _ in documents]
    assert said[-1]["document"]["exit_status"] == "success"
    image = next(document for name, document in documents if name == "event")["data"]["image"]
    assert next(each for each in said if each["name"] == "event")["document"]["data"]["image"] == image.tolist()
    lines = listen("--run", others[:8], "--count", "2")
    assert lines[0].split()[1:4] == [others[:8], "start", "scan"]
    # Another topic: here the documents themselves, by their name.
    assert len(listen("--topic", f"{settings.site}.bluesky.documents", "--count", "3")) == 3
