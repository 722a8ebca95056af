"""What a push sends is written to one file, ahead of the push where that can be."""

import shutil
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from image_archive import archive, prepare
from image_engine import Engine, EngineError
from image_plan import Image

IMAGES = [Image(name, "0" * 12, (), {}, {}, Path(), internal=False, space_mb=1) for name in ("ioc", "kafka")]


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What was built under a tag, where it was not always the same."""
    monkeypatch.setattr("image_archive.ROOM_LEFT", 0)
    return {}


@pytest.fixture
def saves(monkeypatch: pytest.MonkeyPatch, built: dict[str, str]) -> list[list[str]]:
    """The references of each `docker save`, which an engine with both images was asked for: 700 bytes each."""
    asked: list[list[str]] = []

    def answer(_engine: Engine, *words: str, **_options: float) -> subprocess.CompletedProcess[str]:
        if words[0] == "save":
            references = list(words[3:])
            asked.append(references)
            Path(words[2]).write_text("half")
            if "broken" in str(references):
                return subprocess.CompletedProcess(words, 1, "", "layer is damaged")
            Path(words[2]).write_text("all of it")
        if "{{.Id}}" in words:
            return subprocess.CompletedProcess(
                words, 0, "\n".join(f"{name} {built.get(name, '')}" for name in words[4:]), ""
            )
        lines = "".join(f'["{image.reference}"] 700\n' for image in IMAGES)
        return subprocess.CompletedProcess(words, 0, lines, "")

    monkeypatch.setattr(Engine, "run", answer)
    return asked


def never() -> None:
    raise AssertionError("nobody else is at it")


def test_what_was_written_ahead_is_what_the_push_sends(saves: list[list[str]], tmp_path: Path) -> None:
    prepare(Engine(), lambda: IMAGES, tmp_path)
    with archive(Engine(), IMAGES, tmp_path, never) as file:
        assert file.read_text() == "all of it"
    assert saves == [[image.reference for image in IMAGES]]
    assert list(tmp_path.glob("push-*")) == []


def test_a_push_of_other_images_writes_its_own(saves: list[list[str]], tmp_path: Path) -> None:
    prepare(Engine(), lambda: IMAGES, tmp_path)
    with archive(Engine(), IMAGES[:1], tmp_path, never) as file:
        assert list(tmp_path.glob("push-*")) == [file]
    assert saves[1:] == [[IMAGES[0].reference]]


def test_what_nobody_came_for_is_removed_when_nothing_is_missing(saves: list[list[str]], tmp_path: Path) -> None:
    prepare(Engine(), lambda: IMAGES, tmp_path)
    assert len(saves) == 1
    prepare(Engine(), list, tmp_path)
    assert list(tmp_path.glob("push-*")) == []


def test_what_was_built_anew_under_its_tag_is_not_sent_as_it_was(
    saves: list[list[str]], built: dict[str, str], tmp_path: Path
) -> None:
    prepare(Engine(), lambda: IMAGES, tmp_path)
    built[IMAGES[0].reference] = "again"
    with archive(Engine(), IMAGES, tmp_path, never):
        assert len(saves) == 2


def test_nobody_takes_the_file_of_a_push_away(saves: list[list[str]], tmp_path: Path) -> None:
    with archive(Engine(), IMAGES, tmp_path, never) as file:
        other = threading.Thread(target=prepare, args=[Engine(), lambda: IMAGES[:1], tmp_path])
        other.start()
        other.join(0.3)
        assert other.is_alive()
        assert file.is_file()
    other.join(10)
    assert len(saves) == 2


def test_half_a_file_is_never_sent(saves: list[list[str]], tmp_path: Path) -> None:
    broken = Image("broken", "0" * 12, (), {}, {}, Path(), internal=False, space_mb=1)
    for _ in range(2):
        with (
            pytest.raises(EngineError, match="layer is damaged"),
            archive(Engine(), [broken], tmp_path, never),
        ):
            pytest.fail("it was given out")
    assert len(saves) == 2


def test_too_little_room_is_said_by_the_push_and_costs_nothing_before(
    saves: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=1399))
    (tmp_path / ".tmp-push-0123.part456").write_text("of a killed docker save")
    prepare(Engine(), lambda: IMAGES, tmp_path)
    with pytest.raises(EngineError, match=r"not enough disk: pushing .*ioc.*kafka.* needs 1 MB more"):
        archive(Engine(), IMAGES, tmp_path, never).__enter__()
    assert saves == []
    assert [path.name for path in tmp_path.iterdir()] == ["push.lock"]


def test_what_is_written_ahead_leaves_room(
    saves: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("image_archive.ROOM_LEFT", 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=1499))
    prepare(Engine(), lambda: IMAGES, tmp_path)
    assert saves == []
    with archive(Engine(), IMAGES, tmp_path, never):
        assert len(saves) == 1
