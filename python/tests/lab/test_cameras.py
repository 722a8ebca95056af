"""Cameras of the laboratory: a plan takes frames on two nodes, and Tiled on `data` hands out the pixels."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from lab_door import bluefleet, on
from lab_queue import LabQueue
from lab_runs import tiled

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

CAMERAS = ("cam1", "cam2")
FRAMES = 3
# Counts that each pixel shows in the dark, which `total` leaves out.
BIAS = 300


@pytest.fixture(scope="module")
def run() -> Iterator[str]:
    """A run with frames of both cameras, stored to its end."""
    queue = LabQueue()
    queue.open()
    uid = queue.start("count", list(CAMERAS), num=FRAMES)
    queue.wait(lambda status: status["manager_state"] == "idle", "idle")
    verified = bluefleet("documents", "verify", uid, "--wait", "30")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    yield uid
    queue.close()


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with tiled() as found:
        yield found


def frames(client: httpx.Client, run: str, camera: str) -> tuple[list[int], bytes]:
    """Shape, and the pixels as 16 bit counts."""
    about = client.get(f"metadata/runs/{run}/primary/{camera}").raise_for_status().json()
    structure = about["data"]["attributes"]["structure"]
    assert structure["data_type"]["kind"] + str(structure["data_type"]["itemsize"]) == "u2"
    pixels = client.get(
        f"array/full/runs/{run}/primary/{camera}", headers={"Accept": "application/octet-stream"}
    ).raise_for_status()
    return structure["shape"], pixels.content


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_frames_of_a_run_are_read_from_tiled_and_show_what_the_plan_saw(
    client: httpx.Client, run: str, camera: str
) -> None:
    shape, pixels = frames(client, run, camera)
    assert shape == [FRAMES, 1, 240, 320]
    size = 240 * 320
    counts = struct.unpack(f"<{FRAMES * size}H", pixels)
    table: dict[str, Any] = client.get(f"table/full/runs/{run}/primary/internal?format=json").raise_for_status().json()
    told = table[f"{camera}-total"]
    assert [sum(counts[frame * size : (frame + 1) * size]) - BIAS * size for frame in range(FRAMES)] == told
    assert len(set(told)) == FRAMES


def test_every_frame_is_a_file_that_a_node_wrote(run: str) -> None:
    listed = on("data", "find /srv/shared/frames -name '*.h5' -size +100k").split()
    assert len(listed) >= FRAMES * len(CAMERAS)


def test_a_command_to_all_cameras_has_one_result_for_each() -> None:
    said = json.loads((answer := bluefleet("talk", "--json", "status")).stdout)
    assert answer.returncode == 0, answer.stderr
    assert [(one["node"], one["instance"], one["outcome"]) for one in said["results"]] == [
        ("node1", "cam1", "done"),
        ("node2", "cam2", "done"),
    ]


def test_what_one_camera_refuses_is_a_failure_that_names_it() -> None:
    answer = bluefleet("talk", "--on", "cam2", "expose", "--nonsense")
    assert answer.returncode == 1
    assert "failed: node2/cam2" in answer.stderr
