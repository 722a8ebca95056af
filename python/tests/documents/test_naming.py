"""What run a name means: places that know different runs are asked, and the site's own order decides."""

from collections.abc import Callable, Iterator

import pytest

from bluefleet.documents.ask import Asker, Place
from bluefleet.documents.errors import RunNotFound, Unavailable
from bluefleet.documents.named_runs import NamedRun, NamedRuns, meant
from bluefleet.documents.resolving import Resolver
from bluefleet.documents.run_reference import RunReference
from bluefleet.documents.status_server import StatusServer

QUEUE = NamedRun(run="aaaa-of-the-queue", time=10.0, scan_id=4)
TERMINAL = NamedRun(run="bbbb-of-a-terminal", time=20.0, scan_id=5)
FRESH = NamedRun(run="bbcc-on-its-way", time=30.0, scan_id=5)
GONE = Place("gone", "http://127.0.0.1:9/named")
Index = Callable[..., Place]


@pytest.fixture
def index() -> Iterator[Index]:
    """A place that knows some runs, and how far it has read; `asked` of it are the names it was given."""
    servers: list[StatusServer] = []

    def make(*runs: NamedRun, end: int | None = None, asked: list[str] | None = None) -> Place:
        def named(name: str) -> dict:
            (asked if asked is not None else []).append(name)
            return NamedRuns(runs=list(runs), end=end).model_dump()

        server = StatusServer(0, {"named": named}, lambda: True)
        server.start()
        servers.append(server)
        return Place("place", f"http://127.0.0.1:{server.port}/named")

    yield make
    for server in servers:
        server.stop()


def resolve(name: str, *indexes: Place, topic: Place | None = None) -> tuple[str, list[str]]:
    return Resolver(Asker(None), indexes, topic).resolve(name)


def test_the_last_run_is_the_sites_whoever_took_it(index: Index) -> None:
    spool, database = index(QUEUE), index(TERMINAL, QUEUE)
    assert resolve("-1", spool, database) == (TERMINAL.run, [])
    assert resolve("-2", spool, database) == (QUEUE.run, [])
    with pytest.raises(RunNotFound, match="no run -3: there are 2"):
        resolve("-3", spool, database)


def test_a_run_that_no_database_has_yet_is_looked_for_in_kafka_from_where_they_are(index: Index) -> None:
    asked: list[str] = []
    kafka = index(FRESH, asked=asked)
    assert resolve("-1", index(QUEUE), index(TERMINAL, end=70), index(end=64), topic=kafka)[0] == FRESH.run
    assert asked == ["70"]
    assert resolve("5", index(QUEUE), index(TERMINAL, end=70), topic=kafka)[0] == FRESH.run


def test_a_place_that_does_not_answer_is_said(index: Index) -> None:
    run, silent = resolve("-1", index(QUEUE), GONE)
    assert run == QUEUE.run
    assert silent[0].startswith("gone does not answer: ")
    with pytest.raises(Unavailable):
        resolve("-1", GONE)
    _, silent = resolve("-1", index(TERMINAL, end=70), topic=GONE)
    assert silent[0].startswith("gone does not answer: ")


def test_a_whole_uid_is_asked_of_nobody() -> None:
    uid = "0f3a5c1e-0000-4000-8000-000000000001"
    assert resolve(uid, GONE) == (uid, [])


@pytest.mark.parametrize(
    ("name", "run"), [("aaaa", QUEUE), ("bbbb", TERMINAL), ("4", QUEUE), ("5", FRESH), ("-1", FRESH), ("-3", QUEUE)]
)
def test_names(name: str, run: NamedRun) -> None:
    # Two places may know the same run.
    assert meant(RunReference.parse(name), [TERMINAL, QUEUE, FRESH, QUEUE]) == run.run


def test_an_ambiguous_beginning_is_refused_unless_it_is_a_whole_name() -> None:
    short = NamedRun(run="bbbb", time=1.0)
    assert meant(RunReference.parse("bbbb"), [TERMINAL, short]) == "bbbb"
    with pytest.raises(RunNotFound, match="several runs begin with bbbb"):
        meant(RunReference.parse("bbbb"), [TERMINAL, NamedRun(run="bbbb-too", time=1.0)])
    with pytest.raises(RunNotFound, match="no run cccc"):
        meant(RunReference.parse("cccc"), [TERMINAL])
