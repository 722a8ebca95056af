"""The live table and the live plot of the documentation, as they stand on the page, with a real Kafka over TLS."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from confluent_kafka import Consumer, TopicPartition
from document_stack import REPOSITORY, Stack
from event_model import compose_run
from test_document_path import every_kind, publish

from bluefleet.documents import Publisher, Spool
from bluefleet.documents.kafka import client_settings, end_of_topic
from patience import PATIENCE

pytestmark = pytest.mark.timeout(300)

PAGE = (REPOSITORY / "docs" / "how-to" / "follow-the-documents.md").read_text()
POINTS = 25
#: matplotlib's first colour.
BLUE = np.array([31, 119, 180])


def block(begins: str) -> str:
    """The Python of a block of the page, by how it begins."""
    (found,) = re.findall(rf"^```python lab session\n({begins}.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return found


def shared() -> str:
    """The part that both examples import, as the page writes it into a file."""
    (found,) = re.findall(r"following\.py <<'END'\n(.*?)^END$", PAGE, re.MULTILINE | re.DOTALL)
    return found


@pytest.fixture
def checkout(stack: Stack, tmp_path: Path) -> Path:
    """A folder in which `.venv/bin/bluefleet site --json` says where this Kafka is."""
    listener = stack.outside("listener")
    kafka = {
        "bootstrap": listener.kafka_bootstrap,
        "ca_file": str(listener.kafka_ca_file),
        "username": listener.kafka_username,
        "password_file": str(listener.kafka_password_file),
        "topic": listener.topic,
    }
    command = tmp_path / ".venv" / "bin" / "bluefleet"
    command.parent.mkdir(parents=True)
    command.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps({'kafka': kafka})}\nEND\n")
    command.chmod(0o755)
    folder = tmp_path / ".cache" / "following"
    folder.mkdir(parents=True)
    (folder / "following.py").write_text(shared())
    return tmp_path


def measure_until(stack: Stack, ended: threading.Event) -> None:
    """A peak, over and over: who listens hears of what begins after that only."""
    scan_id = 60
    while not ended.is_set():
        scan_id += 1
        run = compose_run(
            metadata={
                "scan_id": scan_id,
                "plan_name": "scan",
                "hints": {"dimensions": [[["motor"], "primary"]]},
            }
        )
        keys = {key: {"dtype": "number", "shape": [], "source": "SIM"} for key in ("motor", "det")}
        stream = run.compose_descriptor(
            name="primary",
            data_keys=keys,
            object_keys={"motor": ["motor"], "det": ["det"]},
            configuration={},
            hints={"motor": {"fields": ["motor"]}, "det": {"fields": ["det"]}},
        )
        with Spool(stack.spool, writer="live") as spool:
            publish = Publisher(spool)
            publish("start", run.start_doc)
            publish("descriptor", stream.descriptor_doc)
            for motor in np.linspace(-2, 2, POINTS):
                data = {"motor": float(motor), "det": float(np.exp(-(motor**2)))}
                publish("event", stream.compose_event(data=data, timestamps=dict.fromkeys(data, time.time())))
                ended.wait(0.02)
            publish("stop", run.compose_stop())
        ended.wait(1)


def follow(stack: Stack, checkout: Path, program: str, *, measure: bool = True) -> str:
    """What an example prints, of the next run if something is to be measured."""
    ended = threading.Event()
    if not measure:
        ended.set()
    measuring = threading.Thread(target=measure_until, args=[stack, ended])
    measuring.start()
    try:
        done = subprocess.run(
            [sys.executable, "-"],
            input=program,
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout / ".cache" / "following"), "MPLBACKEND": "agg"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120 * PATIENCE,
        )
    finally:
        ended.set()
        measuring.join()
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_table_has_a_line_for_each_event_of_a_whole_run(stack: Stack, checkout: Path) -> None:
    lines = follow(stack, checkout, block("from following")).splitlines()
    assert re.match(r"scan \d+: scan, [0-9a-f-]{36}", lines[0])
    assert lines[1].split() == ["primary", "motor", "det"]
    assert [int(line.split()[0]) for line in lines[2:-1]] == list(range(1, POINTS + 1))
    assert lines[2].split()[1:] == ["-2", "0.0183156"]
    assert lines[-1].strip() == "success"


def test_the_plot_draws_what_the_plan_says_is_of_interest(stack: Stack, checkout: Path) -> None:
    said = follow(stack, checkout, block("import matplotlib"))
    assert said.startswith(f"{POINTS} points of det over motor: ")
    picture = checkout / ".cache" / "following" / "scan.png"
    pixels = (matplotlib.image.imread(picture)[..., :3] * 255).round()
    assert (np.abs(pixels - BLUE).max(axis=-1) < 8).sum() > 300, "no line is in the picture"


def listen_until_now(stack: Stack, group: str) -> None:
    """As if this group had read all that is in the topic."""
    listener = stack.outside("listener")
    consumer = Consumer({**client_settings(listener), "group.id": group})
    try:
        consumer.commit(offsets=[TopicPartition(listener.topic, 0, end_of_topic(listener))], asynchronous=False)
    finally:
        consumer.close()


def test_ten_lines_of_plain_confluent_kafka_hear_every_document(stack: Stack, checkout: Path) -> None:
    # What other tests left in this topic is not all documents.
    listen_until_now(stack, "listener-mine")
    documents = every_kind(pages=False, scan_id=69)
    publish(stack, documents)
    (program,) = re.findall(r"^```python lab\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    said = follow(stack, checkout, program.replace("poll(20)", "poll(5)"), measure=False)
    lines = [line.split() for line in said.splitlines()]
    uids = [document["uid"] for name, document in documents if "uid" in document]
    assert [uid for _, uid in lines if uid in uids] == uids
