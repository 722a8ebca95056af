"""The camera through its actor's port."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from typing import Any

import h5py
import pytest

from camera_process import CameraProcess
from patience import ends_in

pytestmark = pytest.mark.slow


def wait_for_state(client: Any, state: str) -> None:
    end = ends_in(10)
    while client.ask("status")[1]["exposure_state"]["state"] != state:
        assert time.monotonic() < end, f"never {state}"


def test_status_tells_of_state_temperature_and_size(camera: CameraProcess, connect: Any) -> None:
    code, keywords = connect(camera).ask("status")
    assert code == ":"
    assert keywords["exposure_state"]["state"] == "idle"
    assert keywords["size"] == {"height": 48, "width": 64}
    assert set(keywords["temperature"]) == {"sensor", "setpoint"}


def test_an_exposure_ends_with_a_whole_frame_on_disk(camera: CameraProcess, connect: Any) -> None:
    code, keywords = connect(camera).ask("expose 0.05 --series by-hand/first")
    assert code == ":"
    assert keywords["filename"] == str(camera.frames / "by-hand/first/000000.h5")
    with h5py.File(keywords["filename"]) as file:
        assert file["/entry/data/data"].shape == (1, 48, 64)
        assert file["/entry/data/data"][0].mean() > 250
        assert file["entry"].attrs["exposure_seconds"] == 0.05


def test_frames_of_a_series_are_numbered_without_a_gap(camera: CameraProcess, connect: Any) -> None:
    client = connect(camera)
    number = client.send("expose 0.01 --count 3 --series counted")
    names = [reply["data"]["filename"][-9:] for reply in client.replies(number) if "filename" in reply["data"]]
    assert names == ["000000.h5", "000001.h5", "000002.h5"]
    assert client.ask("expose 0 --series counted")[1]["filename"].endswith("000003.h5")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("expose abc", "can't be parsed|cannot be parsed"),
        ("expose -1", "-1 s is out of range"),
        ("expose nan", "nan s is out of range"),
        ("expose 1 --count 0", "0 frames are out of range"),
        ("expose 1 --series ../elsewhere", "can't be a series"),
        ("set temperature -200", "-200 °C is out of range"),
        ("set", ""),
        ("abort", "nothing to abort"),
        ("no-such-command", "does not exist"),
        ("status 'unclosed", "No closing quotation"),
    ],
)
def test_what_is_wrong_is_answered_with_an_error(
    camera: CameraProcess, connect: Any, command: str, reason: str
) -> None:
    client = connect(camera)
    code, keywords = client.ask(command)
    assert code == "f"
    assert any(part in keywords["error"] for part in reason.split("|"))
    assert client.ask("ping")[0] == ":", "the connection goes on"


def test_a_second_exposure_is_refused_while_one_goes_on(camera: CameraProcess, connect: Any) -> None:
    first, second = connect(camera), connect(camera)
    number = first.send("expose 5")
    wait_for_state(second, "exposing")
    code, keywords = second.ask("expose 0.1")
    assert code == "f"
    assert "the camera is exposing" in keywords["error"]
    second.ask("abort")
    first.replies(number)


def test_an_abort_by_another_client_ends_the_exposure_with_an_error_and_no_file(
    camera: CameraProcess, connect: Any
) -> None:
    first, second = connect(camera), connect(camera)
    number = first.send("expose 30 --series aborted")
    wait_for_state(second, "exposing")
    assert second.ask("abort")[0] == ":"
    end = first.replies(number)[-1]
    assert end["header"]["message_code"] == "f"
    assert "000000.h5 was aborted" in end["data"]["error"]
    assert second.ask("status")[1]["exposure_state"]["outcome"] == "aborted"
    assert not [file for file in camera.files if file.startswith("aborted")]


def test_an_abort_while_the_frame_is_written_leaves_no_file(own_camera: CameraProcess, connect: Any) -> None:
    own_camera.stop()
    own_camera.options = ("--size", "2048x2048")
    own_camera.start()
    first, second = connect(own_camera), connect(own_camera)
    number = first.send("expose 0")
    while first.replies(None)[-1]["data"]["exposure_state"]["state"] != "reading":
        pass
    assert second.ask("abort")[0] == ":"
    assert first.replies(number)[-1]["header"]["message_code"] == "f"
    assert own_camera.files == []


def test_several_clients_are_answered_at_once_each_with_its_own(camera: CameraProcess, connect: Any) -> None:
    answers: list[str] = []

    def ask(client: Any) -> None:
        answers.extend(client.ask("status")[0] for _ in range(5))

    threads = [threading.Thread(target=ask, args=(connect(camera),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == [":"] * 40


def test_the_exposure_of_a_client_that_left_goes_on(camera: CameraProcess, connect: Any) -> None:
    with socket.create_connection(("127.0.0.1", camera.actor_port)) as gone:
        gone.sendall(b"1 expose 0.5 --series left-alone\n")
        assert gone.recv(10)
    client = connect(camera)
    end = ends_in(10)
    while "left-alone/000000.h5" not in camera.files:
        assert time.monotonic() < end
        time.sleep(0.05)
    wait_for_state(client, "idle")


def test_the_temperature_goes_to_its_setpoint_and_a_cold_dark_is_darker(camera: CameraProcess, connect: Any) -> None:
    client = connect(camera)
    warm = client.ask("expose 1 --dark --series warm")[1]["filename"]
    assert client.ask("set temperature -30")[1]["temperature"]["setpoint"] == -30
    end = ends_in(30)
    while client.ask("status")[1]["temperature"]["sensor"] > 5:
        assert time.monotonic() < end
        time.sleep(0.1)
    cold = client.ask("expose 1 --dark --series cold")[1]["filename"]
    client.ask("set temperature 20")
    with h5py.File(warm) as one, h5py.File(cold) as other:
        assert one["/entry/data/data"][()].mean() > other["/entry/data/data"][()].mean() + 20


def test_a_frame_that_cannot_be_written_is_an_error_and_the_camera_goes_on(
    own_camera: CameraProcess, connect: Any
) -> None:
    (own_camera.frames / "blocked").write_text("a file where a folder should be", encoding="utf-8")
    client = connect(own_camera)
    code, keywords = client.ask("expose 0 --series blocked")
    assert code == "f"
    assert "could not be written" in keywords["error"]
    assert client.ask("expose 0 --series free")[0] == ":"


def test_sigterm_in_an_exposure_ends_it_at_once_with_code_0_and_no_file(
    own_camera: CameraProcess, connect: Any
) -> None:
    client = connect(own_camera)
    client.send("expose 60")
    client.replies(None)
    begun = time.monotonic()
    assert own_camera.stop(signal.SIGTERM) == 0
    assert time.monotonic() - begun < 3
    assert own_camera.files == []


def test_what_a_killed_camera_left_is_removed_and_its_series_goes_on(own_camera: CameraProcess, connect: Any) -> None:
    connect(own_camera).ask("expose 0 --series gone-on")
    own_camera.stop(signal.SIGKILL)
    (own_camera.frames / ".drafts" / "here-cam1.h5").write_bytes(b"half")
    (own_camera.frames / ".drafts" / "here-cam2.h5").write_bytes(b"what another camera writes just now")
    own_camera.start()
    assert own_camera.files == [".drafts/here-cam2.h5", "gone-on/000000.h5"]
    assert connect(own_camera).ask("expose 0 --series gone-on")[1]["filename"].endswith("000001.h5")


def test_every_keyword_is_in_the_schema_it_tells(camera: CameraProcess, connect: Any) -> None:
    client = connect(camera)
    schema = json.loads(client.ask("get_schema")[1]["schema"])
    assert set(client.ask("status")[1]) <= set(schema["properties"])


def test_a_folder_that_is_not_there_is_refused_in_words(own_camera: CameraProcess) -> None:
    own_camera.stop()
    own_camera.options = ("--frames", "/no/such/folder")
    with pytest.raises(TimeoutError, match="there is no such folder; declare a volume for it"):
        own_camera.start()


def test_a_frame_of_somebody_else_is_never_written_over(own_camera: CameraProcess, connect: Any) -> None:
    client = connect(own_camera)
    number = client.send("expose 0.5 --series shared")
    client.replies(None)
    (own_camera.frames / "shared").mkdir()
    (own_camera.frames / "shared" / "000000.h5").write_bytes(b"of another camera")
    end = client.replies(number)[-1]
    assert end["header"]["message_code"] == "f"
    assert "somebody else writes to this series" in end["data"]["error"]
    assert (own_camera.frames / "shared" / "000000.h5").read_bytes() == b"of another camera"
    assert own_camera.files == ["shared/000000.h5"]
