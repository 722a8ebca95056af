"""What services are asked and told over HTTP."""

import contextlib
import http.client
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bluefleet.documents.ask import Asker, Place
from bluefleet.documents.errors import LetterNotFound, NotFound, RequestWrong, Unavailable
from bluefleet.documents.status_server import LONGEST, StatusServer


def act(rest: str, content: Mapping[str, Any]) -> dict[str, Any]:
    if rest == "nobody":
        raise LetterNotFound("there is no dead letter nobody")
    if not content:
        raise RequestWrong("say what")
    return {"did": rest, "with": dict(content)}


@pytest.fixture
def server() -> Iterator[StatusServer]:
    made = StatusServer(0, {"status": lambda _: {"ok": True}}, lambda: True, key="right", actions={"do": act})
    made.start()
    yield made
    made.stop()


def place(server: StatusServer, key: Path | None) -> Place:
    return Place("service", f"http://127.0.0.1:{server.port}", key)


@pytest.fixture
def right(tmp_path: Path) -> Path:
    key = tmp_path / "key"
    key.write_text("right\n")
    return key


def test_something_is_done_for_who_has_the_key(server: StatusServer, right: Path) -> None:
    answer = Asker(None).post(place(server, right), "do/this", {"numbers": [1]}, deadline=5)
    assert (answer["did"], answer["with"]) == ("this", {"numbers": [1]})
    with pytest.raises(Unavailable, match="Authorization"):
        Asker(None).post(place(server, None), "do/this", {"numbers": [1]}, deadline=5)


def test_what_is_not_there_is_told_from_what_is_wrong(server: StatusServer, right: Path) -> None:
    with pytest.raises(NotFound, match="no dead letter nobody"):
        Asker(None).post(place(server, right), "do/nobody", {"x": 1}, deadline=5)
    with pytest.raises(Unavailable, match="say what"):
        Asker(None).post(place(server, right), "do/this", {}, deadline=5)
    with pytest.raises(NotFound, match="nothing is done here"):
        Asker(None).post(place(server, right), "status", {"x": 1}, deadline=5)


@pytest.mark.parametrize(
    ("length", "body"), [(1, b"{"), (3, b"[1]"), (LONGEST + 1, b""), (-1, b"")], ids=["torn", "list", "long", "none"]
)
def test_a_request_that_is_none_is_refused(server: StatusServer, length: int, body: bytes) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
        headers = {"Authorization": "ApiKey right", "Content-Length": str(length)}
        connection.putrequest("POST", "/do/this")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        assert connection.getresponse().status == 400


def test_what_answers_and_is_no_service_is_said_so(server: StatusServer) -> None:
    with pytest.raises(Unavailable, match="Connection refused"):
        Asker(None).get(Place("forwarder", "http://127.0.0.1:9"), "status", deadline=5)
