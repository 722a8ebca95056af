"""The camera as a device: a real camera, a real RunEngine, and the frames read back through the documents."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import h5py
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky import plan_stubs as bps
from bluesky.plans import count, scan
from bluesky.preprocessors import stage_wrapper
from bluesky.run_engine import call_in_bluesky_event_loop
from bluesky.utils import FailedStatus
from event_model import DocumentNames, schema_validators
from ophyd_async.core import TriggerInfo

from bluefleet.devices import Axis, Camera
from camera_process import CameraProcess, Client
from patience import PATIENCE, ends_in

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def engine(iocs: Any) -> RunEngine:
    return RunEngine({})


@pytest.fixture
def process(iocs: Any) -> CameraProcess:
    return iocs.camera


@pytest.fixture
def camera(engine: RunEngine, process: CameraProcess) -> Camera:
    device = Camera("cam1:", name="cam")
    call_in_bluesky_event_loop(device.connect(timeout=10 * PATIENCE), timeout=15 * PATIENCE)
    call_in_bluesky_event_loop(_set(device.exposure_time, 0.05))
    return device


async def _set(signal_: Any, value: Any) -> None:
    await signal_.set(value)


def documents(engine: RunEngine, plan: Any) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    engine(plan, lambda name, document: found.append((name, document)))
    return found


def of(kind: str, found: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    return [document for name, document in found if name == kind]


def frames_of(found: list[tuple[str, dict[str, Any]]]) -> list[np.ndarray[Any, Any]]:
    """What a reader makes of the documents alone."""
    frames: list[np.ndarray[Any, Any]] = []
    resources = {resource["uid"]: resource for resource in of("stream_resource", found)}
    for datum in of("stream_datum", found):
        resource = resources[datum["stream_resource"]]
        folder = Path(urlparse(resource["uri"]).path)
        for index in range(datum["indices"]["start"], datum["indices"]["stop"]):
            with h5py.File(folder / (resource["parameters"]["template"] % index)) as file:
                frames.append(file[resource["parameters"]["dataset"]][0])
    return frames


def when_exposing(process: CameraProcess, act: Any) -> threading.Thread:
    """Do something as soon as the camera exposes, from another thread; a plan runs in this one."""

    def wait() -> None:
        client = Client(process.actor_port)
        end = ends_in(20)
        while client.ask("status")[1]["exposure_state"]["state"] != "exposing":
            assert time.monotonic() < end
        act(client)
        client.close()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_every_frame_of_a_count_can_be_read_through_its_documents(engine: RunEngine, camera: Camera) -> None:
    found = documents(engine, count([camera], 3))
    for name, document in found:
        schema_validators[DocumentNames[name]].validate(document)
    assert [frame.shape for frame in frames_of(found)] == [(48, 64)] * 3
    (descriptor,) = of("descriptor", found)
    assert descriptor["data_keys"]["cam"] | {"source": ""} == {
        "source": "", "shape": [1, 48, 64], "dtype": "array", "dtype_numpy": "<u2", "external": "STREAM:",
        "object_name": "cam",
    }  # fmt: skip
    assert descriptor["hints"]["cam"]["fields"] == ["cam-total"]
    (resource,) = of("stream_resource", found)
    assert resource["uri"].startswith("file://localhost/")


def test_the_total_of_an_event_is_that_of_its_frame(engine: RunEngine, camera: Camera) -> None:
    found = documents(engine, count([camera], 2))
    totals = [event["data"]["cam-total"] for event in of("event", found)]
    assert totals == pytest.approx([float(frame.sum()) - 300 * frame.size for frame in frames_of(found)])


def test_configuration_tells_exposure_time_and_temperature(engine: RunEngine, camera: Camera) -> None:
    (descriptor,) = of("descriptor", documents(engine, count([camera])))
    told = descriptor["configuration"]["cam"]["data"]
    assert told["cam-exposure_time"] == 0.05
    assert "cam-temperature" in told


def test_a_scan_takes_a_frame_at_each_point_beside_other_detectors(engine: RunEngine, camera: Camera) -> None:
    axis = Axis("mini:edge:", name="axis")
    call_in_bluesky_event_loop(axis.connect(timeout=10 * PATIENCE), timeout=15 * PATIENCE)
    engine(bps.mv(axis.velocity, 50))
    found = documents(engine, scan([camera], axis, -1, 1, 3))
    assert len(frames_of(found)) == len(of("event", found)) == 3


def test_two_runs_have_series_of_their_own(engine: RunEngine, camera: Camera) -> None:
    first, second = (documents(engine, count([camera])) for _ in range(2))
    assert of("stream_resource", first)[0]["uri"] != of("stream_resource", second)[0]["uri"]
    assert of("stream_datum", second)[0]["indices"] == {"start": 0, "stop": 1}


def test_frames_of_other_clients_never_get_into_a_run(
    engine: RunEngine, camera: Camera, process: CameraProcess
) -> None:
    def plan() -> Any:
        yield from bps.stage(camera, wait=True)
        yield from bps.open_run()
        for _ in range(2):
            yield from bps.trigger_and_read([camera])
            client = Client(process.actor_port)
            assert client.ask("expose 0")[0] == ":"
            client.close()
        yield from bps.close_run()
        yield from bps.unstage(camera, wait=True)

    found = documents(engine, plan())
    assert [datum["indices"]["stop"] for datum in of("stream_datum", found)] == [1, 2]


def test_an_abort_by_somebody_else_fails_the_plan_at_once_and_says_why(
    engine: RunEngine, camera: Camera, process: CameraProcess
) -> None:
    call_in_bluesky_event_loop(_set(camera.exposure_time, 60))
    aborting = when_exposing(process, lambda client: client.ask("abort"))
    begun = time.monotonic()
    with pytest.raises(FailedStatus) as raised:
        engine(count([camera]))
    aborting.join()
    assert time.monotonic() - begun < 10
    assert "cam: the exposure of" in str(raised.value.__cause__)
    assert "was aborted" in str(raised.value.__cause__)


def test_a_plan_that_ends_in_an_exposure_ends_the_exposure_and_leaves_no_file(
    engine: RunEngine, camera: Camera, process: CameraProcess
) -> None:
    call_in_bluesky_event_loop(_set(camera.exposure_time, 60))
    before = process.files

    def plan() -> Any:
        yield from bps.open_run()
        yield from bps.trigger(camera, group="frame")
        yield from bps.sleep(0.5)
        raise RuntimeError("the plan is wrong")

    begun = time.monotonic()
    with pytest.raises(RuntimeError, match="the plan is wrong"):
        engine(stage_wrapper(plan(), [camera]))
    assert time.monotonic() - begun < 10
    client = Client(process.actor_port)
    assert client.ask("status")[1]["exposure_state"]["state"] == "idle"
    client.close()
    assert process.files == before


def test_a_camera_that_somebody_else_uses_refuses_and_is_left_alone_only_until_the_plan_stages_it(
    engine: RunEngine, camera: Camera, process: CameraProcess
) -> None:
    client = Client(process.actor_port)

    def plan() -> Any:
        yield from bps.stage(camera, wait=True)
        yield from bps.open_run()
        client.send("expose 30")
        client.replies(None)
        yield from bps.trigger_and_read([camera])

    with pytest.raises(FailedStatus) as raised:
        engine(plan())
    assert "it is exposing, for somebody else" in str(raised.value.__cause__)
    documents(engine, count([camera]))  # staging ends what was going on
    client.close()


def test_an_exposure_may_be_longer_than_a_usual_deadline(engine: RunEngine, camera: Camera) -> None:
    async def told() -> float:
        await camera.stage()
        await camera.exposure_time.set(100)
        await camera.prepare(TriggerInfo())
        assert camera._prepare_ctx is not None
        return camera._prepare_ctx.trigger_info.exposure_timeout

    assert call_in_bluesky_event_loop(told()) == 110


def test_a_prepared_exposure_time_is_the_cameras(engine: RunEngine, camera: Camera) -> None:
    def plan() -> Any:
        yield from bps.stage(camera, wait=True)
        yield from bps.prepare(camera, TriggerInfo(livetime=0.2), wait=True)
        yield from bps.open_run()
        yield from bps.trigger_and_read([camera])
        yield from bps.close_run()
        yield from bps.unstage(camera, wait=True)

    (descriptor,) = of("descriptor", documents(engine, plan()))
    assert descriptor["configuration"]["cam"]["data"]["cam-exposure_time"] == 0.2


def test_an_exposure_time_that_the_camera_refuses_fails_the_plan(engine: RunEngine, camera: Camera) -> None:
    with pytest.raises(FailedStatus) as raised:
        engine(stage_wrapper(bps.prepare(camera, TriggerInfo(livetime=5000), wait=True), [camera]))
    assert "it refused to expose for 5000 s" in str(raised.value.__cause__)


def test_a_burst_of_frames_is_one_kickoff(engine: RunEngine, camera: Camera) -> None:
    def plan() -> Any:
        yield from bps.stage(camera, wait=True)
        yield from bps.prepare(camera, TriggerInfo(livetime=0.02, number_of_events=4), wait=True)
        yield from bps.open_run()
        yield from bps.declare_stream(camera, name="primary", collect=True)
        yield from bps.kickoff(camera, wait=True)
        yield from bps.collect_while_completing([camera], [camera], flush_period=0.1, stream_name="primary")
        yield from bps.close_run()
        yield from bps.unstage(camera, wait=True)

    assert len(frames_of(documents(engine, plan()))) == 4


def test_a_camera_that_restarts_in_a_run_goes_on_with_its_series(
    engine: RunEngine, camera: Camera, process: CameraProcess
) -> None:
    def plan() -> Any:
        yield from bps.stage(camera, wait=True)
        yield from bps.open_run()
        yield from bps.trigger_and_read([camera])
        process.stop(signal.SIGKILL)
        process.start()
        yield from bps.wait_for([lambda: camera.connect(timeout=10 * PATIENCE, force_reconnect=True)])
        yield from bps.trigger_and_read([camera])
        yield from bps.close_run()
        yield from bps.unstage(camera, wait=True)

    assert len(frames_of(documents(engine, plan()))) == 2
