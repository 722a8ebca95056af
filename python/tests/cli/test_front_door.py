"""The site's front door: a file that is missing or broken is told by its name, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer

from bluefleet.cli._front_door import FrontDoor
from tls_front import Authority

FILES = ("bundle.crt", "queue-key", "tiled-key")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that a site's control machine has."""
    (Authority(tmp_path / "ca", "site").folder / "site.crt").rename(tmp_path / "bundle.crt")
    (tmp_path / "queue-key").write_text("key")
    (tmp_path / "tiled-key").write_text("key")
    return tmp_path


def door(folder: Path) -> FrontDoor:
    ca_file, queue_key, tiled_key = (folder / name for name in FILES)
    edge = SimpleNamespace(url="https://edge", ca_file=ca_file, queue_api_key_file=queue_key)
    tiled = SimpleNamespace(url="https://data/tiled", reader_key_file=tiled_key)
    return FrontDoor(cast("Any", None), cast("Any", None), cast("Any", edge), cast("Any", tiled), folder)


def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said where the clients can't be made."""
    found = door(folder)
    with pytest.raises(typer.Exit) as caught, found.failures_told(), found.clients():
        pass
    assert caught.value.exit_code == 2
    return capsys.readouterr().err


def test_both_edges_are_reached_with_the_files_of_the_site(folder: Path) -> None:
    found = door(folder)
    with found.failures_told(), found.clients() as (to_edge, to_tiled):
        assert (to_edge.base_url, to_tiled.base_url) == ("https://edge", "https://data")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / name).unlink()
    said = refused(folder, capsys)
    assert f"{folder / name}: No such file or directory" in said
    assert "run site.yml" in said


@pytest.mark.parametrize("content", ["", "-----BEGIN CERTIFICATE-----\ntorn"])
def test_a_bundle_that_is_broken_is_named(content: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bundle.crt").write_text(content)
    said = refused(folder, capsys)
    assert f"{folder / 'bundle.crt'}: " in said
    assert "None" not in said


@pytest.mark.parametrize("error", [BrokenPipeError, FileNotFoundError, TimeoutError])
def test_what_goes_wrong_later_is_not_taken_for_a_missing_file(error: type[OSError], folder: Path) -> None:
    found = door(folder)
    with pytest.raises(error), found.failures_told(), found.clients():
        raise error
