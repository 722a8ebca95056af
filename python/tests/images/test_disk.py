"""A disk that is too small is found before anything is built, and it is said how much is missing."""

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from image_build import Builder
from image_engine import Engine, EngineError
from image_plan import Image
from role_files import load_role_file


def image(name: str, space_mb: int) -> Image:
    return Image(name, "0" * 12, (), {}, {}, Path(), internal=False, space_mb=space_mb)


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Builder:
    """One whose engine has no image yet, and a disk with 3000 MB free; with it nothing can be built."""

    def answer(_engine: Engine, *words: str, **_options: float) -> subprocess.CompletedProcess[str]:
        if words[0] == "info":
            return subprocess.CompletedProcess(words, 0, str(tmp_path), "")
        return subprocess.CompletedProcess(words, 1, "", "Error: No such image")

    def forbidden(_engine: Engine, wanted: Image, *_more: object) -> None:
        raise AssertionError(f"{wanted.name} was built")

    monkeypatch.setattr(Engine, "run", answer)
    monkeypatch.setattr(Engine, "build", forbidden)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=3_000_000_000))
    return Builder(Engine(), tmp_path, 2, lambda _event, **_values: None)


def test_too_little_room_is_refused_before_the_first_image(builder: Builder) -> None:
    images = {"ioc": image("ioc", 500), "bluesky": image("bluesky", 2900)}
    with pytest.raises(EngineError) as refused:
        builder.build(images, ["ioc", "bluesky"])
    said = str(refused.value)
    assert "not enough disk" in said
    assert "building ioc, bluesky needs up to 3400 MB" in said
    assert "3000 MB are free" in said
    assert "Free 400 MB and run it again" in said


def test_room_enough_for_what_is_stale_is_enough(builder: Builder) -> None:
    with pytest.raises(AssertionError, match="ioc was built"):
        builder.build({"ioc": image("ioc", 500), "bluesky": image("bluesky", 2900)}, ["ioc"])


def test_what_images_start_from_is_not_made_on_a_full_disk(
    builder: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "images" / "base"
    folder.mkdir(parents=True)
    (folder / "Containerfile").write_text("ARG PARENT\nFROM ${PARENT}\n")
    (folder / "root").write_text(f"#!/bin/sh\n[ $1 = --made ] || touch {tmp_path}/made\n")
    (folder / "root").chmod(0o755)
    order = {
        "state": "built",
        "repository": str(tmp_path),
        "declared": {
            "versions": {"debian_suite": "none", "debian_release": "1"},
            "images": {"base": {"space_mb": 3400}},
        },
        "images": ["base"],
        **{key: {} for key in ("published", "uids", "registry")},
        **dict.fromkeys(("ca_bundle", "apt_mirror", "pip_index", "engine"), ""),
        "packages": [],
        "log_dir": str(builder.log_dir / "state" / "builds"),
        "jobs": 1,
    }
    with pytest.raises(EngineError, match="not enough disk: building base needs up to 3400 MB"):
        load_role_file("image/builder/__main__.py").main(order)
    assert not (tmp_path / "made").exists()
    assert capsys.readouterr().out == ""
