"""The document path's figures, on a stack of its own: real Kafka, Mongo and Tiled, beside what else is in use.

``python benchmarks/documents.py`` needs a container engine, and builds those of this tree's images that are not there;
``--small`` takes a twentieth of the documents, to see that it works. It prints a table, and removes what it started;
``--keep`` writes the table to docs/reference/performance.md.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python" / "tests"), str(ROOT / "python" / "tests" / "integration")]

import httpx  # noqa: E402 - see above
from document_stack import (  # noqa: E402 - see above
    API_KEY,
    SOURCE,
    Stack,
    docker,
    images_of_this_tree,
    make_network,
    start,
    wait_for,
)
from event_model import compose_run  # noqa: E402 - see above

from bluefleet.documents import Publisher, Spool  # noqa: E402 - see above
from bluefleet.documents.ask import Asker, Place  # noqa: E402 - see above
from bluefleet.documents.codec import encode  # noqa: E402 - see above
from figures import Figure, report, speed_ms  # noqa: E402 - see above

PAGE = ROOT / "docs" / "reference" / "performance.md"

Documents = list[tuple[str, dict[str, Any]]]

REPLAYED = 50_000
BACKLOG = 100_000
LIVE_SECONDS = 10
#: How many times TiledWriter's rate, document by document, events are emitted at: one more than is to be shown.
LIVE_TIMES = 6
#: MB that a service may take more while a backlog of 30 MB and more goes through it.
FLAT = 50
SINGLY = 300
BATCHED = 5_000
DEADLINE = 900.0
BASELINE = ROOT / ".cache" / "bench-documents"
BASELINE_PINS = (
    "bluesky==1.15.1", "bluesky-kafka==0.10.0", "confluent-kafka==2.16.1", "event-model==1.24.0", "msgpack==1.2.4",
    "msgpack-numpy==0.4.8", "pymongo==4.11.3", "suitcase-mongo==0.7.0",
)  # fmt: skip


def run_of(events: int) -> Documents:
    """A run as a scan makes it: a motor, a detector, a counter."""
    run = compose_run(metadata={"scan_id": 1, "plan_name": "scan", "detectors": ["det"], "motors": ["motor"]})
    number = {"dtype": "number", "shape": [], "source": "SIM"}
    keys = {"motor": number, "motor_setpoint": number, "det": number}
    about: dict[str, Any] = {"name": "primary", "data_keys": keys, "configuration": {}, "hints": {}}
    stream = run.compose_descriptor(object_keys={"x": list(keys)}, **about)
    documents: Documents = [("start", run.start_doc), ("descriptor", stream.descriptor_doc)]
    for count in range(events):
        data = {"motor": count / 7, "motor_setpoint": count / 7, "det": count / 3}
        event = stream.compose_event(data=data, timestamps=dict.fromkeys(data, time.time()), validate=False)
        documents.append(("event", dict(event)))
    return [*documents, ("stop", run.compose_stop())]


@contextmanager
def path() -> Iterator[Stack]:
    """The document path, up; removed at the end."""
    images = images_of_this_tree()
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(f"bluefleet-bench-{uuid.uuid4().hex[:8]}", Path(folder))
        make_network(stack.name)
        try:
            start(stack, images)
            yield stack
        finally:
            if stack.started:
                docker("rm", "--force", "--volumes", *stack.started)
            docker("network", "rm", stack.name)


def ask(stack: Stack, service: str, where: str = "status") -> dict[str, Any]:
    """What a service says."""
    return Asker(None).get(Place(service, f"http://{stack.addresses[service]}:8400"), where, deadline=120)


def publish(stack: Stack, documents: Documents, *, pause: float = 0.0) -> list[float]:
    """Through publisher and spool; seconds that each event cost."""
    costs: list[float] = []
    with Spool(stack.spool, writer="bench") as spool:
        into_spool = Publisher(spool)
        for name, document in documents:
            begun = time.perf_counter()
            into_spool(name, document)
            if name == "event":
                costs.append(time.perf_counter() - begun)
                time.sleep(pause)
    return costs


def stored(stack: Stack, sink: str, documents: Documents) -> Callable[[], bool]:
    """Whether a sink has come by the end of a run."""
    run = documents[0][1]["uid"]

    def look() -> bool:
        last = ask(stack, sink)["last"]
        return bool(last) and (last["run"], last["name"]) == (run, "stop")

    return look


def through_mongo(stack: Stack, count: int) -> float:
    """Documents a second, from the first into the spool to the last in Mongo.

    The Tiled sink rests meanwhile: what this is compared with stores in Mongo alone, with both processors to itself.
    """
    documents = run_of(count - 3)
    docker("pause", f"{stack.name}-tiled-sink")
    begun = time.monotonic()
    publish(stack, documents)
    wait_for(stored(stack, "mongo-sink", documents), "the run in Mongo", DEADLINE)
    took = time.monotonic() - begun
    docker("unpause", f"{stack.name}-tiled-sink")
    run = documents[0][1]["uid"]
    events = ask(stack, "mongo-sink", f"runs/{run}")["streams"]["primary"]["events"]
    if events != count - 3:
        sys.exit(f"{events} of {count - 3} events are in Mongo")
    wait_for(stored(stack, "tiled-sink", documents), "the run in Tiled", DEADLINE)
    return count / took


def baseline(stack: Stack, count: int) -> float:
    """The same through bluesky_kafka and suitcase-mongo, on the same Kafka and Mongo."""
    if not (BASELINE / "bin" / "python").exists():
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", str(BASELINE)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(BASELINE), *BASELINE_PINS], check=True)
    file = stack.folder / "baseline.hex"
    file.write_text("\n".join(encode(*item).hex() for item in run_of(count - 3)))
    topic = "baseline.bluesky.runengine.documents"
    make_topic(stack, topic)
    kafka, mongo = f"{stack.addresses['kafka']}:9092", f"mongodb://{stack.addresses['mongo']}:27017"
    script = str(Path(__file__).with_name("documents_baseline.py"))
    done = subprocess.run(
        [str(BASELINE / "bin" / "python"), script, kafka, mongo, topic, str(file)],
        check=False, capture_output=True, text=True, timeout=DEADLINE,
    )  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"the baseline ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-2000:]}")
    took, events = done.stdout.split()[-2:]
    if int(events) != count - 3:
        sys.stderr.write(f"the baseline lost events: {events} of {count - 3} are in Mongo\n")
    return count / float(took)


def make_topic(stack: Stack, topic: str) -> None:
    """Kafka makes none by itself."""
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": f"{stack.addresses['kafka']}:9092"})
    for made in admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)]).values():
        made.result(timeout=30)


def by_tiledwriter(stack: Stack, image: str, count: int, batch_size: int) -> float:
    """Documents a second of TiledWriter, on the same Tiled."""
    file = stack.folder / f"tiled-{batch_size}.hex"
    file.write_text("\n".join(encode(*item).hex() for item in run_of(count - 3)))
    file.chmod(0o644)
    script = Path(__file__).with_name("documents_tiled.py")
    seen = docker(
        "run", "--rm", "--network", stack.name, "--volume", f"{SOURCE}:/source:ro", "--env", "PYTHONPATH=/source",
        "--volume", f"{stack.folder / 'etc'}:/etc/test:ro", "--volume", f"{file}:/documents:ro",
        "--volume", f"{script}:/bench.py:ro", "--env", "BLUEFLEET_TILED_URI=http://tiled:8000/api/v1/metadata/runs",
        "--env", "BLUEFLEET_TILED_API_KEY_FILE=/etc/test/tiled_api_key",
        image, "python", "-W", "ignore", "/bench.py", "/documents", str(batch_size),
    )  # fmt: skip
    return count / float(seen.split()[-1])


def emit(stack: Stack, documents: Documents, rate: float) -> list[float]:
    """So many documents a second through publisher and spool; when each event was emitted."""
    emitted: list[float] = []
    begun = time.monotonic()
    with Spool(stack.spool, writer="bench") as spool:
        into_spool = Publisher(spool)
        for number, (name, document) in enumerate(documents):
            # By the clock: what a document costs, and how long a sleep really is, slows nothing down.
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            if name == "event":
                emitted.append(time.monotonic())
            into_spool(name, document)
    return emitted


def live_in_tiled(stack: Stack, rate: float) -> tuple[float, float]:
    """Events a second from the first's emission until a reader of Tiled has seen the last, and the median seconds of each.

    Emitted at `rate`: a sink that falls behind is late and slower than that.
    """
    events = int(rate * LIVE_SECONDS)
    documents = run_of(events)
    run = documents[0][1]["uid"]
    seen: list[float] = []
    with httpx.Client(
        base_url=f"http://{stack.addresses['tiled']}:8000/api/v1/",
        headers={"Authorization": f"Apikey {API_KEY}"},
        trust_env=False,
        timeout=30,
    ) as reader, ThreadPoolExecutor(1) as beside:  # fmt: skip
        emission = beside.submit(emit, stack, documents, rate)
        end = time.monotonic() + DEADLINE
        while len(seen) < events:
            there = rows_in_tiled(reader, run)
            seen.extend([time.monotonic()] * (there - len(seen)))
            if emission.done():
                emission.result()  # raises what ended it
            if time.monotonic() > end:
                sys.exit(f"{len(seen)} of {events} events are in Tiled")
            # Each look is work for the Tiled that is measured.
            time.sleep(0.05)
        emitted = emission.result()
    late = statistics.median(there - at for at, there in zip(emitted, seen, strict=True))
    wait_for(stored(stack, "tiled-sink", documents), "the run's end in Tiled", DEADLINE)
    return events / (seen[-1] - emitted[0]), late


def rows_in_tiled(reader: httpx.Client, run: str) -> int:
    """How many events of a run a reader finds."""
    answer = reader.get(f"table/full/runs/{run}/primary/internal", params={"format": "json", "column": "seq_num"})
    # Not begun yet, or being written.
    if answer.status_code == httpx.codes.NOT_FOUND or answer.is_server_error:
        return 0
    return len(answer.raise_for_status().json()["seq_num"])


def rate_in_tiled(stack: Stack, count: int) -> float:
    """Documents a second of the Tiled sink when they come as fast as they can."""
    documents = run_of(count - 3)
    begun = time.monotonic()
    publish(stack, documents)
    wait_for(stored(stack, "tiled-sink", documents), "the run in Tiled", DEADLINE)
    return count / (time.monotonic() - begun)


def drained(stack: Stack, count: int) -> tuple[float, dict[str, tuple[float, float]]]:
    """Documents a second into Kafka after it was away, and each service's memory in MB: before, and at its highest.

    The highest until both sinks have it all: they come after Kafka, and are slower.
    """
    processes = {service: pids(f"{stack.name}-{service}") for service in ("forwarder", "mongo-sink", "tiled-sink")}
    documents = run_of(count - 3)
    before = {service: memory(of) for service, of in processes.items()}
    docker("stop", "--time", "5", f"{stack.name}-kafka")
    publish(stack, documents)
    highest = dict(before)
    docker("start", f"{stack.name}-kafka")
    wait_for(
        lambda: ask(stack, "forwarder")["writers"]["bench"]["backlog"] < count, "the first that are delivered", 120
    )
    begun = time.monotonic()
    left = at_first = ask(stack, "forwarder")["writers"]["bench"]["backlog"]
    took = 0.0
    waiting = [stored(stack, sink, documents) for sink in ("mongo-sink", "tiled-sink")]
    while waiting:
        if left and not (left := ask(stack, "forwarder")["writers"]["bench"]["backlog"]):
            took = time.monotonic() - begun
        highest = {service: max(highest[service], memory(of)) for service, of in processes.items()}
        waiting = [has_it_all for has_it_all in waiting if not has_it_all()]
        if time.monotonic() - begun > DEADLINE:
            sys.exit(f"{left} documents still wait for Kafka, and {len(waiting)} sinks have not all of them")
    # None is left at the first look where there are few.
    rate = at_first / took if took else 0.0
    return rate, {service: (before[service], highest[service]) for service in processes}


def pids(container: str) -> list[str]:
    """A container's processes."""
    return docker("top", container, "-eo", "pid").split()[1:]


def memory(processes: list[str]) -> float:
    """What they hold, in MB."""
    kilobytes = 0
    for pid in processes:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                kilobytes += int(line.split()[1])
    return kilobytes / 1000


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a twentieth of the documents")
    parser.add_argument("--keep", action="store_true", help=f"write the figures into {PAGE.relative_to(ROOT)}")
    chosen = parser.parse_args()
    if chosen.small and chosen.keep:
        parser.error("figures of --small are not worth keeping")
    before_ms = speed_ms()
    share = 20 if chosen.small else 1
    figures: list[Figure] = []

    def told(figure: Figure) -> None:
        sys.stderr.write(figure.row() + "\n")
        figures.append(figure)

    with path() as stack:
        image = docker("inspect", "--format", "{{.Config.Image}}", f"{stack.name}-tiled-sink")
        cost = statistics.median(publish(stack, run_of(2000), pause=0.001)) * 1000
        told(Figure("publisher, per event in the RunEngine's thread", "≤ 0.2 ms median", f"{cost:.3f} ms", cost <= 0.2))
        count = REPLAYED // share
        ours, theirs = through_mongo(stack, count), baseline(stack, count)
        name = f"{count:,} replayed documents, spool → Kafka → Mongo; bluesky_kafka 0.10 + suitcase-mongo"
        told(
            Figure(name, "≥ 2 times", f"{ours:,.0f}/s; {theirs:,.0f}/s ({ours / theirs:.1f} times)", ours >= 2 * theirs)
        )
        singly = by_tiledwriter(stack, image, SINGLY, 1)
        batched = by_tiledwriter(stack, image, BATCHED // share, 10_000)
        rate, late = live_in_tiled(stack, LIVE_TIMES * singly)
        name = "Tiled sink, events visible while the run goes on; TiledWriter with batch_size 1"
        measured = f"{rate:,.0f}/s, half of them within {late:.2f} s; {singly:,.0f}/s ({rate / singly:.1f} times)"
        target = "≥ 5 times, ≤ 0.5 s median from emission"
        told(Figure(name, target, measured, rate >= 5 * singly and late <= 0.5))
        rate = rate_in_tiled(stack, BATCHED // share)
        name = f"Tiled sink, {BATCHED // share:,} documents at once; TiledWriter with batch_size 10000"
        told(Figure(name, "printed", f"{rate:,.0f}/s; {batched:,.0f}/s", holds=True))
        count = BACKLOG // share
        drain, held = drained(stack, count)
        measured = f"{drain:,.0f}/s, " + ", ".join(
            f"{service} {before:.0f} → {highest:.0f} MB" for service, (before, highest) in held.items()
        )
        flat = all(highest < before + FLAT for before, highest in held.values())
        name = f"{count:,} documents drained after Kafka was away, until both sinks have them"
        told(Figure(name, f"memory flat: less than {FLAT} MB more", measured, flat))
    report(figures, before_ms, PAGE if chosen.keep else None, "document figures")


if __name__ == "__main__":
    main()
