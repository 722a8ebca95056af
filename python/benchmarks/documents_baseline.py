"""The usual way, measured: bluesky_kafka's publisher and its MongoConsumer, which writes by suitcase-mongo.

``documents_baseline.py BOOTSTRAP MONGO_URI TOPIC DOCUMENTS`` runs in an environment of its own, made by documents.py, and
prints the seconds from the first document's publishing to the last one's being in Mongo.
"""

# bluesky_kafka and suitcase-mongo are in that environment only.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import functools
import sys
import threading
import time
import warnings
from pathlib import Path

import msgpack
import msgpack_numpy
import pymongo

warnings.simplefilter("ignore")
from bluesky_kafka import MongoConsumer, Publisher  # noqa: E402 - they warn when they are imported

DEADLINE = 600.0
DATABASE = "baseline"


def main() -> None:
    """Consume in a thread, publish, wait for the stop document."""
    bootstrap, mongo, topic, file = sys.argv[1:]
    unpack = functools.partial(msgpack.loads, object_hook=msgpack_numpy.decode)
    documents = [unpack(bytes.fromhex(line)) for line in Path(file).read_text().split()]
    consumer = MongoConsumer(
        mongo,
        {topic: DATABASE},
        tls=False,
        topics=[topic],
        bootstrap_servers=bootstrap,
        group_id="baseline",
        consumer_config={"auto.offset.reset": "earliest"},
        polling_duration=0.05,
        deserializer=unpack,
    )
    threading.Thread(target=consumer.start, name="consumer", daemon=True).start()
    publish = Publisher(topic, bootstrap, key="run", producer_config={"enable.idempotence": True})
    client = pymongo.MongoClient(mongo)
    begun = time.monotonic()
    for number, (name, document) in enumerate(documents):
        while True:
            try:
                publish(name, document)
            except BufferError:
                # Its client holds so many, and leaves it to the caller to let it work.
                publish._producer.poll(0.1)
            else:
                break
        if number % 1000 == 0:
            publish._producer.poll(0)
    publish.flush()
    stops = client[DATABASE]["run_stop"]
    while stops.count_documents({}) == 0:
        if time.monotonic() - begun > DEADLINE:
            sys.exit(f"no stop document after {DEADLINE:g} s; {client[DATABASE]['event'].count_documents({})} events")
        time.sleep(0.05)
    took, events = time.monotonic() - begun, client[DATABASE]["event"].count_documents({})
    sys.stdout.write(f"{took} {events}\n")


if __name__ == "__main__":
    main()
