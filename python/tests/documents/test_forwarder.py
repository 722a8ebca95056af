"""The forwarder while Kafka is away: it looks after writers all the same. Delivery itself is tested with a real Kafka."""

import contextlib
import json
import sqlite3
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import pytest
from documents_of_runs import make_run, uid_of
from killable_writer import StartWriter
from test_spool import WRITE_FOR_EVER, spooled

from bluefleet.documents import Publisher, Spool, codec, spool_store
from bluefleet.documents.errors import RunNotFound, SettingsWrong, SpoolFailed, Unavailable
from bluefleet.documents.forwarder import Forwarder
from bluefleet.documents.kafka import ensure_topics
from bluefleet.documents.lane import Delivery, Lane
from bluefleet.documents.run_digest import RunDigest
from bluefleet.documents.settings import ForwarderSettings
from patience import ends_in


def wait_for(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    """Return when it is true; fail when it takes too long."""
    deadline = ends_in(seconds)
    while not condition():
        assert time.monotonic() < deadline, "took too long"
        time.sleep(0.05)


@pytest.fixture
def forwarder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forwarder]:
    """A forwarder whose Kafka does not answer."""
    settings = ForwarderSettings(spool_dir=tmp_path, kafka_bootstrap="127.0.0.1:9", status_port=1)
    for module in ("kafka", "dead_letters"):
        monkeypatch.setattr(f"bluefleet.documents.{module}.DEADLINE", 0.3)
    free = settings.model_copy(update={"status_port": 0})
    service = Forwarder(free)
    thread = threading.Thread(target=service.run)
    thread.start()
    yield service
    service.stop()
    thread.join()


def ask(service: Forwarder, path: str) -> dict:
    with urllib.request.urlopen(f"http://127.0.0.1:{service.status_server.port}{path}", timeout=5) as answer:
        return json.load(answer)


@pytest.mark.slow
def test_the_run_of_a_killed_writer_is_closed_without_a_new_worker(
    tmp_path: Path, forwarder: Forwarder, start_writer: StartWriter
) -> None:
    writer = start_writer(WRITE_FOR_EVER)
    assert writer.stdout is not None
    for _ in range(30):
        writer.stdout.readline()
    time.sleep(1.5)
    assert "stop" not in [name for name, _ in spooled(tmp_path)], "the run of a live writer was closed"
    writer.kill()
    writer.wait()
    wait_for(lambda: spooled(tmp_path)[-1][0] == "stop")
    stop = spooled(tmp_path)[-1][1]
    assert stop["exit_status"] == "fail"
    assert "closed by the forwarder" in stop["reason"]
    # And only once.
    time.sleep(1.5)
    assert [name for name, _ in spooled(tmp_path)].count("stop") == 1


def test_documents_wait_and_the_status_says_for_what(tmp_path: Path, forwarder: Forwarder) -> None:
    run = make_run(10, scan_id=42)
    with Spool(tmp_path, writer="worker") as spool:
        publish = Publisher(spool)
        for name, document in run:
            publish(name, document)
        wait_for(lambda: "worker" in ask(forwarder, "/status")["writers"])
        wait_for(lambda: "worker: Kafka" in str(ask(forwarder, "/status")["problems"]))
        status = ask(forwarder, "/status")
        assert status["writers"]["worker"]["backlog"] == len(run)
        assert status["writers"]["worker"]["alive"]
        assert "Kafka at 127.0.0.1:9" in status["problems"][0]
        assert ask(forwarder, "/healthz") == {"ok": True}
        for reference in (uid_of(run), uid_of(run)[:8], "42", "-1"):
            assert ask(forwarder, f"/runs/{reference}")["run"] == uid_of(run)
        assert ask(forwarder, "/runs/-1")["streams"]["primary"]["events"] == 10
    assert not ask(forwarder, "/status")["writers"]["worker"]["alive"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.slow
def test_a_lane_that_breaks_is_a_problem_and_is_begun_again(
    tmp_path: Path, forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch
) -> None:
    Spool(tmp_path, writer="worker").close()
    wait_for(lambda: "worker: Kafka" in str(forwarder.status()["problems"]))
    first = forwarder._lanes["worker"]
    with monkeypatch.context() as broken:
        broken.setattr(Lane, "_deliver_until_trouble", lambda _: 1 / 0)
        wait_for(lambda: "ended where it should not" in str(forwarder.status()["problems"]))
    wait_for(
        lambda: forwarder._lanes["worker"] is not first and "worker: Kafka at" in str(forwarder.status()["problems"])
    )
    assert forwarder.healthy()


def test_a_kafka_that_does_not_answer_an_administrator_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        def __init__(self, _: object) -> None: ...

        def list_topics(self, **_: object) -> object:
            return SimpleNamespace(topics={})

        def create_topics(self, topics: list, **_: object) -> dict:
            return {topic.topic: Future() for topic in topics}

    monkeypatch.setattr("bluefleet.documents.kafka.AdminClient", Silent)
    monkeypatch.setattr("bluefleet.documents.kafka.DEADLINE", 0.1)
    monkeypatch.setattr("bluefleet.documents.kafka.GRACE", 0.1)
    with pytest.raises(Unavailable, match="no answer within"):
        ensure_topics(ForwarderSettings(), retention_bytes=1)


def test_a_spool_that_breaks_is_said_in_the_status(tmp_path: Path, forwarder: Forwarder) -> None:
    Spool(tmp_path, writer="worker").close()
    connection = sqlite3.connect(tmp_path / "worker.sqlite")
    connection.execute("DROP TABLE deliveries")
    connection.close()
    assert "deliveries" in ask(forwarder, "/status")["problems"][0]
    assert "no such table" in forwarder.status()["writers"]["worker"]["trouble"]


def make_open_run(folder: Path, writer: str) -> None:
    """A spool whose writer left without closing its run."""
    with Spool(folder, writer=writer) as spool:
        spool.append("run", "start", codec.encode("start", {"uid": "run"}), scan_id=1)


def test_a_new_spool_is_no_trouble_until_its_documents_have_waited_for_a_lane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ForwarderSettings(spool_dir=tmp_path, kafka_bootstrap="127.0.0.1:9")
    resting = Forwarder(settings.model_copy(update={"status_port": 0}))
    make_open_run(tmp_path, "worker")
    assert resting.status()["writers"]["worker"]["trouble"] == ""
    monkeypatch.setattr("bluefleet.documents.forwarder.LANE_WITHIN", 0.0)
    assert "worker: no lane yet" in resting.status()["problems"]
    resting.status_server._server.server_close()


@pytest.mark.parametrize("content", [None, b"\x80", b'{"since": "long ago"}'], ids=["folder", "no text", "no time"])
def test_a_lock_file_that_is_none_holds_no_other_spool_up(
    tmp_path: Path, forwarder: Forwarder, content: bytes | None
) -> None:
    aside = tmp_path / "out" / "of-sight"
    aside.mkdir(parents=True)
    make_open_run(aside, "bad")
    lock = aside / "bad.lock"
    lock.unlink()
    if content is None:
        lock.mkdir()
    else:
        lock.write_bytes(content)
    aside.rename(tmp_path / "a")
    make_open_run(tmp_path, "well")
    wait_for(lambda: spooled(tmp_path, "well")[-1][0] == "stop")
    wait_for(lambda: "well" in forwarder._lanes)
    said = forwarder.status()["writers"]
    assert said["well"]["backlog"] == 2
    assert content is not None or "bad.lock" in said["a/bad"]["trouble"]


def test_the_lane_of_a_spool_whose_marks_cannot_be_read_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_open_run(tmp_path, "worker")
    with contextlib.closing(spool_store.connect(tmp_path / "worker.sqlite")) as connection:
        connection.execute("ALTER TABLE deliveries RENAME COLUMN kafka_offset TO lost")
    monkeypatch.setattr("bluefleet.documents.lane.end_of_topic", lambda _: 0)
    settings = ForwarderSettings(spool_dir=tmp_path, kafka_bootstrap="127.0.0.1:9", makes_topics=False)
    lane = Lane(tmp_path / "worker.sqlite", settings, threading.Event())
    with pytest.raises(SpoolFailed, match="table deliveries is none of a spool"):
        lane._deliver_until_trouble()


def test_a_producer_that_kafka_does_not_answer_is_given_up_for_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bluefleet.documents.lane.NEW_PRODUCER_AFTER", 0.2)
    make_open_run(tmp_path, "worker")
    with contextlib.closing(spool_store.connect(tmp_path / "worker.sqlite")) as connection:
        batch = spool_store.undelivered(connection, after=0, documents=10, size=10_000)
    assert batch
    delivery = Delivery(ForwarderSettings(spool_dir=tmp_path, kafka_bootstrap="127.0.0.1:9"), threading.Event())
    assert delivery.send(batch, lambda _: None) == ([], "no acknowledgement within 0 s")
    delivery.give_up()


def test_dead_letters_are_not_known_without_kafka(forwarder: Forwarder) -> None:
    assert forwarder.status()["dead_letters"] is None
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        forwarder._letters.waiting()


def test_what_would_be_sent_again_is_what_was_delivered(tmp_path: Path, forwarder: Forwarder) -> None:
    run = make_run(4)
    with Spool(tmp_path, writer="worker") as spool:
        publish = Publisher(spool)
        for name, document in run:
            publish(name, document)
    assert ask(forwarder, f"/replay/{uid_of(run)}")["documents"] == 0
    with contextlib.closing(spool_store.connect(tmp_path / "worker.sqlite")) as connection:
        spool_store.mark_delivered(connection, [(1, 70, None), (2, None, "too large"), (3, 71, None)])
        assert [each.seq for each in spool_store.sent_documents_of(connection, uid_of(run))] == [1, 2, 3]
        assert spool_store.refused_of(connection, uid_of(run)) == {2}
    assert ask(forwarder, f"/replay/{uid_of(run)}") == {
        "schema_version": 1, "run": uid_of(run), "source": "spool", "documents": 3,
        "end": None, "refused": [], "unreadable": [],
    }  # fmt: skip
    assert forwarder.status()["delivered_end"] == 72


def test_a_run_whose_beginning_has_left_the_spool_is_looked_for_from_when_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(8)
    with Spool(tmp_path, writer="worker") as spool:
        publish = Publisher(spool)
        for name, document in run:
            publish(name, document)
    asked: list[tuple[int | None, int | None, float | None]] = []

    def answer(_: object, uid: str, *, first: int | None, last: int | None, since: float | None = None) -> RunDigest:
        asked.append((first, last, since))
        return RunDigest(run=uid)

    monkeypatch.setattr("bluefleet.documents.forwarder.topic_digest", answer)
    settings = ForwarderSettings(spool_dir=tmp_path, kafka_bootstrap="127.0.0.1:9", status_port=1)
    service = Forwarder(settings.model_copy(update={"status_port": 0}))
    with contextlib.closing(spool_store.connect(spool.path)) as connection:
        spool_store.mark_delivered(connection, [(seq, seq + 100, None) for seq in range(1, len(run) + 1)])
        service.run_in_kafka(uid_of(run))
        (known,) = spool_store.runs(connection)
        assert spool_store.prune(connection, delivered_before=time.time() + 60, documents=4) == 4
        service.run_in_kafka(uid_of(run))
    service.status_server._server.server_close()
    assert asked == [(101, 111, None), (None, 111, known.time)]
    with pytest.raises(RunNotFound, match=r"the beginning of run .* has left the spool"):
        service.run_in_spool(uid_of(run))


def test_a_run_that_is_not_there_is_said_so(tmp_path: Path, forwarder: Forwarder) -> None:
    for reference in ("-1", "7", "deadbeef", "?"):
        with pytest.raises(RunNotFound):
            forwarder.run_in_spool(reference)


def test_settings_that_are_wrong_are_named() -> None:
    with pytest.raises(SettingsWrong, match="BLUEFLEET_STATUS_PORT"):
        ForwarderSettings.from_environment({"BLUEFLEET_STATUS_PORT": "many"})
    settings = ForwarderSettings.from_environment({"BLUEFLEET_SITE": "lab", "BLUEFLEET_SPOOL_DIR": "/x"})
    assert settings.topic == "lab.bluesky.documents"
    assert settings.spool_dir == Path("/x")


def test_spools_of_several_people_are_looked_after_side_by_side(tmp_path: Path, forwarder: Forwarder) -> None:
    for person in ("ada", "ben"):
        (tmp_path / person).mkdir()
        # Two people may have spools of one name.
        with Spool(tmp_path / person, writer="same") as spool:
            publish = Publisher(spool)
            for name, document in make_run(events=3):
                publish(name, document)
    wait_for(
        lambda: all(forwarder.status()["writers"].get(f"{each}/same", {}).get("trouble") for each in ("ada", "ben"))
    )
    writers = forwarder.status()["writers"]
    assert [writers[name]["backlog"] for name in ("ada/same", "ben/same")] == [6, 6]


def test_a_forwarder_that_may_not_make_topics_does_not_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it tried")

    for module in ("forwarder", "lane"):
        monkeypatch.setattr(f"bluefleet.documents.{module}.ensure_topics", refuse)
    monkeypatch.setattr("bluefleet.documents.kafka.DEADLINE", 0.3)
    settings = ForwarderSettings(spool_dir=tmp_path, kafka_bootstrap="127.0.0.1:9", status_port=1, makes_topics=False)
    service = Forwarder(settings.model_copy(update={"status_port": 0}))
    with Spool(tmp_path, writer="ada"):
        pass
    thread = threading.Thread(target=service.run)
    thread.start()
    # What is wrong is Kafka, which was asked for the topic's end and for nothing else.
    wait_for(lambda: "Kafka at 127.0.0.1:9" in str(service.status()["problems"]))
    service.stop()
    thread.join()
