"""What is said of a dead letter: anything may lie in that topic. With a real Kafka it is tested elsewhere."""

import threading
from types import SimpleNamespace

import msgpack
import numpy as np
import pytest

from bluefleet.documents import codec
from bluefleet.documents.dead_letters import DeadLetterBox
from bluefleet.documents.settings import Settings


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"\xc1 not msgpack", "unreadable"),
        (msgpack.packb(["event", {"x": {b"nd": False, b"type": b"<f8,(", b"data": b""}}]), "unreadable"),
        (codec.encode("event", {"uid": np.zeros(2)}), "event"),
    ],
    ids=["no msgpack", "type that is no type", "array for a uid"],
)
def test_whatever_lies_there_is_a_letter(body: bytes, name: str) -> None:
    box = DeadLetterBox(Settings(), threading.Event())
    message = SimpleNamespace(
        offset=lambda: 3, value=lambda: body, key=lambda: b"run", timestamp=lambda: (1, 1700000000000), headers=list
    )
    box._take(message)  # pyright: ignore[reportArgumentType] - as much of a message as is asked for
    box._note_end(4)
    assert box.count() == 1
    assert [(letter.name, letter.uid) for letter in box._letters.values()] == [(name, "")]
