"""The notebooks that come along are put there once, follow the image, and never undo what somebody did."""

import ast
import errno
import json
from pathlib import Path

import pytest

import bluefleet.notebooks
from bluefleet.notebooks.__main__ import arguments
from bluefleet.notebooks.examples import RECORD, put


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """An example as it is in the image."""
    (tmp_path / "image").mkdir()
    (tmp_path / "people").mkdir()
    found = tmp_path / "image" / "first.ipynb"
    found.write_text("as it came")
    return found


@pytest.fixture
def folder(example: Path) -> Path:
    """Where people's notebooks are; the example has been put there."""
    found = example.parents[1] / "people"
    assert put([example], found) == ["first.ipynb"]
    return found


def test_an_example_is_there_at_first(folder: Path) -> None:
    assert (folder / "first.ipynb").read_text() == "as it came"


def test_a_second_start_changes_nothing(example: Path, folder: Path) -> None:
    assert put([example], folder) == []


def test_one_that_nobody_touched_follows_the_image(example: Path, folder: Path) -> None:
    example.write_text("better")
    assert put([example], folder) == ["first.ipynb"]
    assert (folder / "first.ipynb").read_text() == "better"


def test_one_that_somebody_changed_stays_as_it_is(example: Path, folder: Path) -> None:
    (folder / "first.ipynb").write_text("mine")
    example.write_text("better")
    assert put([example], folder) == []
    assert (folder / "first.ipynb").read_text() == "mine"


def test_one_that_somebody_removed_stays_away(example: Path, folder: Path) -> None:
    (folder / "first.ipynb").unlink()
    example.write_text("better")
    assert put([example], folder) == []
    assert not (folder / "first.ipynb").exists()


def test_somebodys_own_of_the_same_name_is_not_taken_for_ours(example: Path) -> None:
    people = example.parents[1] / "people"
    (people / "first.ipynb").write_text("mine, before there was one")
    assert put([example], people) == []
    assert (people / "first.ipynb").read_text() == "mine, before there was one"


@pytest.mark.parametrize("torn", [b"", b'{"first.ipynb": "', b"\xff", b"[]"])
def test_a_record_that_can_not_be_read_hinders_nothing_and_leaves_what_is_there(
    torn: bytes, example: Path, folder: Path
) -> None:
    (folder / RECORD).write_bytes(torn)
    example.write_text("better")
    other = example.with_name("second.ipynb")
    other.write_text("new")
    assert put([example, other], folder) == ["second.ipynb"]
    assert (folder / "first.ipynb").read_text() == "as it came"
    other.write_text("newer")
    assert put([example, other], folder) == ["second.ipynb"]


@pytest.mark.parametrize("name", ["first.ipynb", RECORD])
def test_a_folder_in_the_way_is_told_and_hinders_no_other(
    name: str, example: Path, caplog: pytest.LogCaptureFixture
) -> None:
    people = example.parents[1] / "people"
    (people / name).mkdir()
    other = example.with_name("second.ipynb")
    other.write_text("new")
    assert "second.ipynb" in put([example, other], people)
    example.write_text("better")
    put([example, other], people)
    assert (people / name).is_dir()
    assert name in caplog.text


def test_a_disk_that_fills_up_leaves_nothing_torn(
    example: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = (folder / RECORD).read_text()
    full_after = 3

    def write(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:full_after])
        raise OSError(errno.ENOSPC, "No space left on device")

    example.write_text("better")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", write)
        patched.setattr(Path, "write_text", lambda path, text, **_: write(path, text.encode()))
        assert put([example], folder) == []
    assert "No space left" in caplog.text
    assert ((folder / "first.ipynb").read_text(), (folder / RECORD).read_text()) == ("as it came", before)
    assert put([example], folder) == ["first.ipynb"]


def test_examples_come_without_outputs_and_are_python() -> None:
    (folder,) = bluefleet.notebooks.__path__
    examples = sorted(Path(folder).glob("*.ipynb"))
    assert [path.name for path in examples] == ["last-run.ipynb"]
    for path in examples:
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "code":
                assert (cell["outputs"], cell["execution_count"]) == ([], None)
                assert ast.parse("".join(cell["source"])).body


def test_the_server_takes_the_password_and_no_token() -> None:
    given = arguments("argon2:…", Path("/notebooks"))
    assert "--IdentityProvider.token=" in given
    assert "--PasswordIdentityProvider.hashed_password=argon2:…" in given
    assert "--ServerApp.base_url=/jupyter/" in given
