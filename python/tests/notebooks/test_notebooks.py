"""The notebooks that come along are put there once, follow the image, and never undo what somebody did."""

import ast
import json
from pathlib import Path

import pytest

import bluefleet.notebooks
from bluefleet.notebooks.__main__ import arguments
from bluefleet.notebooks.examples import put


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
