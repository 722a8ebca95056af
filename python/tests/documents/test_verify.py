"""Comparing places that answer over HTTP."""

import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from documents_of_runs import make_run
from test_digest import summed

from bluefleet.documents.errors import RunNotFound, Unavailable
from bluefleet.documents.run_digest import RunDigest
from bluefleet.documents.status_server import StatusServer
from bluefleet.documents.verify import Place, Verifier

RUN = make_run(12)
WHOLE = summed(RUN)
Answers = Callable[..., list[Place]]


@pytest.fixture
def answering() -> Iterator[Answers]:
    """Places that hold what they are given; None is a place that does not know the run."""
    servers: list[StatusServer] = []

    def place(name: str, held: RunDigest | None) -> Place:
        def runs(reference: str) -> dict:
            if held is None or not (reference == "-1" or held.run.startswith(reference)):
                raise RunNotFound(f"no run {reference}")
            return held.model_dump() | {"writer": "worker"}

        server = StatusServer(0, {"runs": runs}, lambda: True)
        server.start()
        servers.append(server)
        return Place(name, f"http://127.0.0.1:{server.port}/runs")

    def make(**held: RunDigest | None) -> list[Place]:
        return [place(name, digest) for name, digest in held.items()]

    yield make
    for server in servers:
        server.stop()


def test_equal_places_are_equal(answering: Answers) -> None:
    verdict = Verifier(answering(spool=WHOLE, kafka=WHOLE, mongo=WHOLE, tiled=WHOLE), None).verify("-1")
    assert verdict.equal
    assert verdict.run == WHOLE.run
    assert verdict.streams == {"primary": 12}


@pytest.mark.parametrize(
    ("documents", "words"),
    [
        (
            RUN[:5] + RUN[6:],
            r"mongo: stream primary: has events 1-3,5-12, spool has 1-12",
        ),
        (RUN[:-1], r"mongo: stop document is missing"),
        (RUN[:1] + RUN[-1:], r"mongo: stream primary is missing"),
        ([RUN[0], *make_run(12)[1:]], r"mongo: stop document is not that of spool"),
    ],
    ids=["event", "stop", "stream", "other"],
)
def test_what_is_missing_is_named(answering: Answers, documents: list, words: str) -> None:
    places = answering(spool=WHOLE, kafka=WHOLE, mongo=summed(documents), tiled=WHOLE)
    verdict = Verifier(places, None).verify(WHOLE.run)
    assert not verdict.equal
    assert any(re.match(words, text) for text in verdict.differences), verdict.differences


def test_doubled_events_are_named(answering: Answers) -> None:
    doubled = WHOLE.model_copy(deep=True)
    doubled.streams["primary"].doubled = [3, 4]
    verdict = Verifier(answering(spool=WHOLE, kafka=WHOLE, mongo=WHOLE, tiled=doubled), None).verify("-1")
    assert verdict.differences == ["tiled: stream primary: events 3, 4 are there more than once"]


def test_a_database_without_the_run_differs_and_a_spool_that_forgot_it_does_not(
    answering: Answers,
) -> None:
    missing = Verifier(answering(spool=WHOLE, kafka=WHOLE, mongo=WHOLE, tiled=None), None).verify("-1")
    assert not missing.equal
    assert "tiled: no run" in missing.differences[0]
    forgotten = Verifier(answering(spool=None, kafka=WHOLE, mongo=WHOLE, tiled=WHOLE), None).verify(WHOLE.run[:8])
    assert forgotten.equal
    assert "spool: no run" in forgotten.notes[0]


def test_databases_alone_prove_nothing(answering: Answers) -> None:
    verdict = Verifier(answering(spool=None, kafka=None, mongo=WHOLE, tiled=WHOLE), None).verify(WHOLE.run)
    assert not verdict.equal


def test_a_place_that_does_not_answer_is_a_difference(answering: Answers) -> None:
    places = [
        *answering(spool=WHOLE, kafka=WHOLE, mongo=WHOLE),
        Place("tiled", "http://127.0.0.1:9/runs"),
    ]
    verdict = Verifier(places, None).verify("-1")
    assert not verdict.equal
    assert "tiled does not answer" in verdict.differences[0]


def test_an_unknown_run_and_a_dead_site_are_told_apart(answering: Answers) -> None:
    with pytest.raises(RunNotFound):
        Verifier(answering(spool=None, mongo=None), None).verify("deadbeef")
    with pytest.raises(Unavailable):
        Verifier([Place("spool", "http://127.0.0.1:9/runs")], None).verify("deadbeef")


def test_a_run_that_no_place_has_is_said_once_with_all_places(answering: Answers) -> None:
    places = answering(spool=None, kafka=None, mongo=None, tiled=None)
    with pytest.raises(RunNotFound, match=r"^no run deadbeef in spool, kafka, mongo and tiled$"):
        Verifier(places, None).verify("deadbeef")
    silent = Place("tiled", "http://127.0.0.1:9/runs")
    with pytest.raises(RunNotFound, match=r"^no run deadbeef in spool, kafka and mongo; tiled does not answer: http"):
        Verifier([*places[:3], silent], None).verify("deadbeef")


def test_what_a_place_knows_of_a_run_that_it_has_not_is_said_too(answering: Answers) -> None:
    def several(reference: str) -> dict:
        raise RunNotFound(f"2 runs begin with {reference}: give more of the uid")

    server = StatusServer(0, {"runs": several}, lambda: True)
    server.start()
    spool = Place("spool", f"http://127.0.0.1:{server.port}/runs")
    try:
        with pytest.raises(RunNotFound, match=r"^no run dead in spool and mongo \(spool: 2 runs begin with dead: give"):
            Verifier([spool, *answering(mongo=None)], None).verify("dead")
    finally:
        server.stop()


def test_what_is_said_of_runs_needs_the_key_and_health_does_not(tmp_path: Path) -> None:
    server = StatusServer(0, {"status": lambda _: {}, "runs": lambda _: WHOLE.model_dump()}, lambda: True, key="right")
    server.start()
    url = f"http://127.0.0.1:{server.port}"
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("right\n")
    wrong.write_text("wrong\n")
    for open_to_all in ("healthz", "status"):
        with urllib.request.urlopen(f"{url}/{open_to_all}", timeout=5) as answer:  # noqa: S310 - http
            assert answer.status == 200
    for key in (None, wrong):
        with pytest.raises(Unavailable, match="Authorization"):
            Verifier([Place("spool", f"{url}/runs", key)], None).verify("-1")
    assert Verifier([Place("spool", f"{url}/runs", right)], None).verify("-1").equal
    server.stop()


def test_a_page_that_is_not_the_service_is_no_answer(answering: Answers, tmp_path: Path) -> None:
    elsewhere = answering(spool=WHOLE)[0].url.replace("/runs", "/elsewhere")
    key = tmp_path / "key"
    key.write_text("secret")
    with pytest.raises((RunNotFound, Unavailable)):
        Verifier([Place("spool", elsewhere, key)], None).verify("-1")
