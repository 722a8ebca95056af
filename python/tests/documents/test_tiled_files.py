"""Which files documents may bring into Tiled."""

from pathlib import Path

import pytest

from bluefleet.documents.errors import Poison
from bluefleet.documents.settings import TiledSettings
from bluefleet.documents.tiled_files import refuse_elsewhere

FOLDERS = (Path("/srv/shared/frames"), Path("/data"))


@pytest.mark.parametrize(
    "uri",
    [
        "file://localhost/srv/shared/frames/cam1/a.h5",
        "file://localhost/srv/shared/frames/",
        "file:///data/x_1.tif",
        "file://localhost/data//x%20y..tif",
    ],
)
def test_frames_of_the_folders_are_let_in(uri: str) -> None:
    refuse_elsewhere(uri, FOLDERS)


@pytest.mark.parametrize(
    "uri",
    [
        "file://localhost/etc/tiled/key.yml",
        "file://localhost/srv/shared/frames/../../../etc/tiled/key.yml",
        "file://localhost/srv/shared/frames/%2e%2e/%2E./../etc/tiled/key.yml",
        "file://localhost/srv/shared/frames/..%2f..%2f..%2fetc/tiled/key.yml",
        "file://localhost/srv/shared/frames-of-others/a.h5",
        "file://localhost/data/../srv/shared/frames/a.h5",
        "file://localhost//etc/tiled/key.yml",
        "file://elsewhere/data/a.h5",
        "file:data/a.h5",
        "/data/a.h5",
        "http://localhost/data/a.h5",
        "duckdb:////data/tables.duckdb",
        "s3://data/a.h5",
        "file://[/data",
        "",
    ],
)
def test_any_other_file_is_refused_by_name(uri: str) -> None:
    with pytest.raises(Poison) as refused:
        refuse_elsewhere(uri, FOLDERS)
    assert repr(uri) in str(refused.value)


def test_without_a_folder_there_are_no_frames() -> None:
    with pytest.raises(Poison, match="data_frames_folders"):
        refuse_elsewhere("file://localhost/data/a.h5", TiledSettings().frames_folders)


def test_folders_come_from_the_environment_with_a_colon_between_them() -> None:
    settings = TiledSettings.from_environment({"BLUEFLEET_FRAMES_FOLDERS": "/srv/shared/frames:/data"})
    assert settings.frames_folders == FOLDERS
    assert TiledSettings.from_environment({"BLUEFLEET_FRAMES_FOLDERS": ""}).frames_folders == ()
