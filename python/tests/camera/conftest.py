"""One camera for this folder's tests; each test has connections of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from camera_process import CameraProcess, Client
from patience import PATIENCE


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CameraProcess]:
    process = CameraProcess(tmp_path_factory.mktemp("camera")).start()
    yield process
    process.stop()


@pytest.fixture
def own_camera(tmp_path: Path) -> Iterator[CameraProcess]:
    """One that the test may break."""
    process = CameraProcess(tmp_path).start()
    yield process
    process.stop()


@pytest.fixture
def connect() -> Iterator[Callable[[CameraProcess], Client]]:
    clients: list[Client] = []

    def dial(camera: CameraProcess) -> Client:
        clients.append(Client(camera.actor_port))
        return clients[-1]

    yield dial
    for client in clients:
        client.close()


@pytest.fixture
def pv(camera: CameraProcess, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Reads and puts one process variable with a client that is not libca."""
    return ProcessVariables(camera, monkeypatch)


class ProcessVariables:
    """caproto's blocking client: each call searches anew."""

    def __init__(self, camera: CameraProcess, monkeypatch: pytest.MonkeyPatch) -> None:
        self._prefix = camera.prefix
        monkeypatch.setenv("EPICS_CA_ADDR_LIST", f"127.0.0.1:{camera.channel_access_port}")
        monkeypatch.setenv("EPICS_CA_AUTO_ADDR_LIST", "NO")

    def read(self, name: str) -> Any:
        from caproto import ChannelType
        from caproto.sync.client import read

        response = read(self._prefix + name, data_type="control", repeater=False, timeout=5)
        if response.data_type is ChannelType.CTRL_CHAR:
            return bytes(response.data).rstrip(b"\0").decode()
        value = response.data[0]
        if response.data_type is ChannelType.CTRL_ENUM:
            return response.metadata.enum_strings[value].decode()
        return value

    def put(self, name: str, value: Any) -> Any:
        from caproto.sync.client import write

        return write(self._prefix + name, value, repeater=False, timeout=10 * PATIENCE, notify=True)
