"""What the fleet's user opens for somebody else: nothing that is its own, whatever a name turns into."""

import logging
import os
from pathlib import Path

import pytest

from bluefleet.actor._named_files import log_handler, log_outside, read_named


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of the fleet's."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "state").write_text("kept")
    return folder


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command was typed by another person, through sudo."""
    monkeypatch.setenv("SUDO_UID", str(os.getuid() + 1))


def test_ones_own_file_is_read_and_somebody_elses_only_if_it_is_for_everybody(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = own / "state"
    file.chmod(0o600)
    monkeypatch.delenv("SUDO_UID", raising=False)
    assert read_named(file) == "kept"
    for typed_by in (str(os.getuid()), "", "nobody"):
        monkeypatch.setenv("SUDO_UID", typed_by)
        assert read_named(file) == "kept"
    monkeypatch.setenv("SUDO_UID", str(os.getuid() + 1))
    with pytest.raises(PermissionError, match="neither yours nor for everybody"):
        read_named(file)
    file.chmod(0o644)
    assert read_named(file) == "kept"


def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o644)
    large = tmp_path / "large"
    large.write_bytes(bytes(2**20 + 1))
    for file in (pipe, large, Path("/dev/zero")):
        with pytest.raises(OSError, match="no file of at most"):
            read_named(file)


@pytest.mark.usefixtures("somebody")
def test_a_log_of_somebody_elses_follows_no_link_into_the_fleets_folders(own: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    place = log_outside(theirs / "state", [own])
    # Between the look at the name and the opening.
    theirs.rmdir()
    theirs.symlink_to(own)
    with pytest.raises(PermissionError, match="its own files"):
        log_handler(place, [own])
    assert (own / "state").read_text() == "kept"
    with pytest.raises(PermissionError, match="its own files"):
        log_outside(theirs / "state", [own])


@pytest.mark.usefixtures("somebody")
def test_a_log_of_somebody_elses_is_opened_once(own: Path, tmp_path: Path) -> None:
    handler = log_handler(tmp_path / "log", [own])
    handler.emit(logging.makeLogRecord({"msg": "said"}))
    handler.close()
    assert (tmp_path / "log").read_text() == "said\n"
    assert not hasattr(handler, "doRollover")


def test_a_name_that_leads_nowhere_is_an_error_that_is_told(tmp_path: Path, own: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match="symbolic links"):
        log_handler(log_outside(loop, [own]), [own])
