"""`bluefleet documents listen` while a real Kafka is away for longer than a client is given."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Producer
from document_stack import SITE, Stack, docker
from test_hanging_kafka import kafka

from bluefleet.documents.codec import encode
from bluefleet.documents.kafka import client_settings

__all__ = ["kafka"]

# A second try would hide what is lost once in a while.
pytestmark = [pytest.mark.timeout(300), pytest.mark.flaky(reruns=0)]


def produce(stack: Stack, *uids: str) -> None:
    """Start documents, each of a run of its own."""
    producer = Producer(client_settings(stack.internal))
    for uid in uids:
        producer.produce(f"{SITE}.bluesky.documents", value=encode("start", {"uid": uid}), key=uid.encode())
    assert producer.flush(60) == 0


def test_who_listens_is_told_that_kafka_is_away_and_hears_everything_once(kafka: Stack) -> None:
    produce(kafka, "one", "two")
    arguments = ["documents", "listen", "--from-beginning", "--json", "--count", "4"]
    command = Path(sys.executable).parent / "bluefleet"
    environment = os.environ | {
        "BLUEFLEET_SITE": SITE,
        "BLUEFLEET_KAFKA_BOOTSTRAP": kafka.internal.kafka_bootstrap,
        "PYTHONUNBUFFERED": "yes",
    }
    pipe = subprocess.PIPE
    with subprocess.Popen([command, *arguments], env=environment, stdout=pipe, stderr=pipe, text=True) as listening:
        try:
            assert listening.stdout is not None
            assert listening.stderr is not None
            heard = [listening.stdout.readline() for _ in range(2)]
            docker("kill", f"{kafka.name}-kafka")
            told = listening.stderr.readline()
            kafka.start("kafka")
            produce(kafka, "three", "four")
            rest, again = listening.communicate()
        finally:
            listening.kill()
    assert listening.returncode == 0
    assert [json.loads(line)["run"] for line in heard + rest.splitlines()] == ["one", "two", "three", "four"]
    assert kafka.internal.kafka_bootstrap in told
    assert "waiting for it" in told
    assert again.splitlines() == [f"Kafka at {kafka.internal.kafka_bootstrap} is heard again"]
