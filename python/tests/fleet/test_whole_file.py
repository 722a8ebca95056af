"""A file that others read is never torn, and nothing is left beside it."""

import os
import threading
from pathlib import Path

import pytest

from bluefleet.fleet._whole_file import write_whole


def test_threads_that_write_at_once_write_whole_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "folder" / "devices.json"
    texts = ["a" * 100_000, "b" * 10]
    together = threading.Barrier(2)
    failed: list[BaseException] = []

    def wait(_descriptor: int) -> None:
        together.wait(5)

    def write(text: str) -> None:
        try:
            write_whole(file, text)
        except BaseException as error:  # noqa: BLE001 (a thread's error is told by the test)
            failed.append(error)

    monkeypatch.setattr(os, "fsync", wait)
    writers = [threading.Thread(target=write, args=[text]) for text in texts]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(10)
    assert failed == []
    assert file.read_text() in texts
    assert [one.name for one in file.parent.iterdir()] == ["devices.json"]
    assert file.stat().st_mode & 0o777 == 0o644


def test_what_can_t_be_written_leaves_the_old_text_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "devices.json"
    write_whole(file, "old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
