"""The camera through its process variables, and both views of it side by side."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from caproto import ErrorResponseReceived

from camera_process import CameraProcess

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_a_put_of_expose_ends_when_the_frame_is_on_disk(camera: CameraProcess, pv: Any) -> None:
    pv.put("series", "by-put/one")
    pv.put("exposure_time", 0.3)
    begun = time.monotonic()
    pv.put("expose", 1)
    assert time.monotonic() - begun >= 0.3
    assert pv.read("frames") == 1
    assert pv.read("outcome") == "done"
    assert pv.read("last_file") == str(camera.frames / "by-put/one/000000.h5")
    assert pv.read("series_uri") == f"file://localhost{camera.frames}/by-put/one/"
    assert "by-put/one/000000.h5" in camera.files


def test_a_put_that_is_out_of_range_fails_and_changes_nothing(pv: Any) -> None:
    before = pv.read("exposure_time")
    with pytest.raises(ErrorResponseReceived):
        pv.put("exposure_time", -3.0)
    assert pv.read("exposure_time") == before
    with pytest.raises(ErrorResponseReceived):
        pv.put("series", "../elsewhere")


def test_what_one_view_does_the_other_shows(camera: CameraProcess, pv: Any, connect: Any) -> None:
    client = connect(camera)
    pv.put("series", "by-put/two")
    series = f"by-actor-{uuid.uuid4().hex[:8]}"
    number = client.send(f"expose 4 --series {series}")
    client.replies(None)
    assert pv.read("state") == "exposing"
    assert pv.read("remaining") <= 4
    with pytest.raises(ErrorResponseReceived):
        pv.put("expose", 1)
    client.replies(number)
    assert pv.read("last_file").endswith(f"{series}/000000.h5")
    assert pv.read("frames") == 0, "a plan's series counts its own frames only"
    pv.put("temperature_setpoint", -5.0)
    assert client.ask("status")[1]["temperature"]["setpoint"] == -5
    client.ask("set temperature 12")
    assert pv.read("temperature_setpoint") == 12


def test_an_abort_by_put_ends_an_actors_exposure(camera: CameraProcess, pv: Any, connect: Any) -> None:
    client = connect(camera)
    number = client.send("expose 60 --series stopped")
    client.replies(None)
    pv.put("abort", 1)
    assert client.replies(number)[-1]["header"]["message_code"] == "f"
    assert pv.read("outcome") == "aborted"
    assert "was aborted" in pv.read("reason")
    pv.put("abort", 1)  # of an idle camera: nothing to do, nothing wrong
