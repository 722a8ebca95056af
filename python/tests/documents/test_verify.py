"""Comparing places that answer over HTTP."""

import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from documents_of_runs import make_run
from test_digest import summed, with_frames

from bluefleet.documents.errors import RunNotFound, Unavailable
from bluefleet.documents.named_runs import NamedRun, NamedRuns
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
            if held is None or held.run != reference:
                raise RunNotFound(f"no run {reference}")
            return held.model_dump() | {"writer": "worker"}

        def named(_: str) -> dict:
            return NamedRuns(runs=[] if held is None else [NamedRun(run=held.run, time=1.0)]).model_dump()

        server = StatusServer(0, {"runs": runs, "named": named}, lambda: True)
        server.start()
        servers.append(server)
        return Place(name, f"http://127.0.0.1:{server.port}/runs")

    def make(**held: RunDigest | None) -> list[Place]:
        return [place(name, digest) for name, digest in held.items()]

    yield make
    for server in servers:
        server.stop()


def verifier(places: list[Place]) -> Verifier:
    """Asks the same places what a name means."""
    return Verifier(places, None, indexes=[Place(place.name, place.url.replace("/runs", "/named")) for place in places])


def test_equal_places_are_equal(answering: Answers) -> None:
    verdict = verifier(answering(spool=WHOLE, kafka=WHOLE, mongo=WHOLE, tiled=WHOLE)).verify("-1")
    assert verdict.equal
    assert verdict.run == WHOLE.run
    assert verdict.streams == {"primary": 12}


def test_frames_that_a_place_lacks_are_counted(answering: Answers) -> None:
    documents = with_frames((0, 10), (10, 40))
    whole = summed(documents)
    lacking = summed([item for item in documents if item[1].get("indices", {}).get("start") != 10])
    # A store that can't count its frames is not said to lack any.
    uncounted = whole.model_copy(deep=True)
    uncounted.streams["primary"].frames = {}
    lacking.references = None
    assert verifier(answering(spool=whole, kafka=whole, tiled=uncounted)).verify(whole.run).equal
    verdict = verifier(answering(spool=whole, kafka=whole, tiled=lacking)).verify(whole.run)
    assert verdict.differences == ["tiled: stream primary: frames of stream_camera of 10 points, spool has 40"]


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
    verdict = verifier(places).verify(WHOLE.run)
    assert not verdict.equal
    assert any(re.match(words, text) for text in verdict.differences), verdict.differences


def test_doubled_events_are_named(answering: Answers) -> None:
    doubled = WHOLE.model_copy(deep=True)
    doubled.streams["primary"].doubled = [3, 4]
    verdict = verifier(answering(spool=WHOLE, kafka=WHOLE, mongo=WHOLE, tiled=doubled)).verify("-1")
    assert verdict.differences == ["tiled: stream primary: events 3, 4 are there more than once"]


def test_events_taken_again_after_a_pause_are_expected_everywhere(answering: Answers) -> None:
    again = RUN[4][1] | {"uid": "taken again", "time": RUN[4][1]["time"] + 9.0}
    paused = summed([*RUN[:5], ("event", again), *RUN[5:]])
    assert paused.streams["primary"].doubled == [3]
    assert verifier(answering(spool=paused, kafka=paused, mongo=paused, tiled=paused)).verify("-1").equal
    verdict = verifier(answering(spool=paused, kafka=paused, mongo=paused, tiled=summed(RUN))).verify("-1")
    assert "tiled: stream primary: events 3 are not there as often as in spool" in verdict.differences


def test_a_database_without_the_run_differs_and_a_spool_that_forgot_it_does_not(
    answering: Answers,
) -> None:
    missing = verifier(answering(spool=WHOLE, kafka=WHOLE, mongo=WHOLE, tiled=None)).verify("-1")
    assert not missing.equal
    assert "tiled: no run" in missing.differences[0]
    forgotten = verifier(answering(spool=None, kafka=WHOLE, mongo=WHOLE, tiled=WHOLE)).verify(WHOLE.run[:8])
    assert forgotten.equal
    assert "spool: no run" in forgotten.notes[0]


def test_databases_alone_prove_nothing(answering: Answers) -> None:
    verdict = verifier(answering(spool=None, kafka=None, mongo=WHOLE, tiled=WHOLE)).verify(WHOLE.run)
    assert not verdict.equal


def test_a_place_that_does_not_answer_is_a_difference(answering: Answers) -> None:
    places = [
        *answering(spool=WHOLE, kafka=WHOLE, mongo=WHOLE),
        Place("tiled", "http://127.0.0.1:9/runs"),
    ]
    verdict = verifier(places).verify("-1")
    assert not verdict.equal
    assert "tiled does not answer" in verdict.differences[0]


def test_an_unknown_run_and_a_dead_site_are_told_apart(answering: Answers) -> None:
    with pytest.raises(RunNotFound):
        verifier(answering(spool=None, mongo=None)).verify("deadbeef")
    with pytest.raises(Unavailable):
        verifier([Place("spool", "http://127.0.0.1:9/runs")]).verify("deadbeef")


def test_a_run_that_no_place_has_is_said_once_with_all_places(answering: Answers) -> None:
    places = answering(spool=None, kafka=None, mongo=None, tiled=None)
    for name in ("deadbeef", "11111111-2222-3333-4444-555555555555"):
        with pytest.raises(RunNotFound, match=rf"^no run {name} in spool, kafka, mongo and tiled$"):
            verifier(places).verify(name)
    silent = Place("tiled", "http://127.0.0.1:9/runs")
    with pytest.raises(RunNotFound, match=r"^no run deadbeef in .*; tiled does not answer: http"):
        verifier([*places[:3], silent]).verify("deadbeef")


@pytest.fixture
def left_spool() -> Iterator[Place]:
    """A spool that the beginning of any run has left."""

    def gone(reference: str) -> dict:
        raise RunNotFound(f"the beginning of run {reference} has left the spool")

    server = StatusServer(0, {"runs": gone}, lambda: True)
    server.start()
    try:
        yield Place("spool", f"http://127.0.0.1:{server.port}/runs")
    finally:
        server.stop()


def test_what_a_place_knows_of_a_run_that_it_has_not_is_said_too(answering: Answers, left_spool: Place) -> None:
    with pytest.raises(RunNotFound, match=r"in spool and mongo \(spool: the beginning of run .* has left"):
        Verifier([left_spool, *answering(mongo=None)], None).verify("11111111-2222-3333-4444-555555555555")


def test_a_spool_that_a_run_has_partly_left_is_told_and_no_difference(answering: Answers, left_spool: Place) -> None:
    verdict = Verifier([left_spool, *answering(kafka=WHOLE, mongo=WHOLE, tiled=WHOLE)], None).verify(WHOLE.run)
    assert verdict.equal
    assert verdict.notes == [f"spool: the beginning of run {WHOLE.run} has left the spool"]
    lacking = Verifier([left_spool, *answering(kafka=WHOLE, mongo=WHOLE, tiled=summed(RUN[:-1]))], None)
    assert lacking.verify(WHOLE.run).differences == ["tiled: stop document is missing"]


def test_a_run_of_a_desktop_is_compared_without_its_spool(answering: Answers) -> None:
    taken = WHOLE.model_copy(update={"desktop": "data"})
    verdict = verifier(answering(spool=None, kafka=taken, mongo=taken, tiled=taken)).verify("-1")
    assert verdict.equal
    assert verdict.notes == ["spool: on desktop data, not looked at"]
    lacking = verifier(answering(spool=None, kafka=taken, mongo=taken, tiled=None)).verify("-1")
    assert not lacking.equal


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
            Verifier([Place("spool", f"{url}/runs", key)], None).verify(WHOLE.run)
    assert Verifier([Place("spool", f"{url}/runs", right)], None).verify(WHOLE.run).equal
    server.stop()


def test_a_page_that_is_not_the_service_is_no_answer(answering: Answers, tmp_path: Path) -> None:
    elsewhere = answering(spool=WHOLE)[0].url.replace("/runs", "/elsewhere")
    key = tmp_path / "key"
    key.write_text("secret")
    with pytest.raises((RunNotFound, Unavailable)):
        Verifier([Place("spool", elsewhere, key)], None).verify(WHOLE.run)
