"""A check is left out only while nothing it reads has changed since it passed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from patience import PATIENCE

PASSED_BEFORE = Path(__file__).resolve().parents[3] / ".ci" / "passed-before"
# Counts its runs outside of what is looked at, and passes unless a file says otherwise.
CHECK = ("bash", "-c", "echo ran >>runs/log; [ ! -e looked-at/wrong ]")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for folder in ("looked-at", "elsewhere", "runs"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text("as it was\n", encoding="utf-8")
    (tmp_path / ".gitignore").write_text(".cache\n", encoding="utf-8")
    for words in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", *words], cwd=tmp_path, timeout=20 * PATIENCE, check=True)
    return tmp_path


def asked(checkout: Path, *check: str, paths: tuple[str, ...] = ("looked-at",)) -> tuple[bool, bool]:
    """Whether the check ran, and whether it is said to pass."""
    before = runs(checkout)
    done = subprocess.run(
        [str(PASSED_BEFORE), "one", *paths, "--", *(check or CHECK)],
        cwd=checkout,
        timeout=20 * PATIENCE,
        capture_output=True,
        check=False,
    )
    return runs(checkout) > before, done.returncode == 0


def runs(checkout: Path) -> int:
    log = checkout / "runs" / "log"
    return len(log.read_text(encoding="utf-8").splitlines()) if log.exists() else 0


def test_it_runs_once_for_the_same_files(checkout: Path) -> None:
    assert asked(checkout) == (True, True)
    assert asked(checkout) == (False, True)
    (checkout / "elsewhere" / "file").write_text("not looked at\n", encoding="utf-8")
    assert asked(checkout) == (False, True)


@pytest.mark.parametrize("change", ["edited", "new", "deleted", "renamed", "mode"])
def test_it_runs_again_when_a_file_is_another(checkout: Path, change: str) -> None:
    asked(checkout)
    file = checkout / "looked-at" / "file"
    match change:
        case "edited":
            file.write_text("as it is now\n", encoding="utf-8")
        case "new":
            file.with_name("untracked").touch()
        case "deleted":
            file.unlink()
        case "renamed":
            file.rename(file.with_name("moved"))
        case _:
            file.chmod(0o755)
    assert asked(checkout) == (True, True)
    assert asked(checkout) == (False, True)


def test_it_looks_at_what_git_does_not(checkout: Path) -> None:
    asked(checkout)
    (checkout / ".git" / "info" / "exclude").write_text("*.local\n", encoding="utf-8")
    (checkout / "looked-at" / "own.local").touch()
    assert asked(checkout) == (True, True)
    other = checkout / "looked-at" / "another-repository"
    subprocess.run(["git", "init", "--quiet", str(other)], timeout=20 * PATIENCE, check=True)
    (other / "file").touch()
    assert asked(checkout) == (True, True)
    (other / "file").write_text("edited\n", encoding="utf-8")
    assert asked(checkout) == (True, True)
    assert asked(checkout) == (False, True)


def test_other_tools_are_asked_again(checkout: Path) -> None:
    asked(checkout)
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / ".bluefleet-dev").write_text("other tools\n", encoding="utf-8")
    assert asked(checkout) == (True, True)
    assert asked(checkout) == (False, True)


def test_a_path_that_is_not_there_is_refused(checkout: Path) -> None:
    assert asked(checkout, paths=("looked-at", "looked-for")) == (False, False)


def test_one_that_failed_runs_until_it_passes(checkout: Path) -> None:
    wrong = checkout / "looked-at" / "wrong"
    wrong.touch()
    assert asked(checkout) == (True, False)
    assert asked(checkout) == (True, False)
    wrong.unlink()
    assert asked(checkout) == (True, True)


def test_what_was_edited_meanwhile_is_looked_at_next_time(checkout: Path) -> None:
    edits = ("bash", "-c", "echo ran >>runs/log; echo more >>looked-at/file")
    assert asked(checkout, *edits) == (True, True)
    assert asked(checkout, *edits) == (True, True)


def test_an_edit_that_was_taken_back_meanwhile_may_have_been_looked_at(checkout: Path) -> None:
    edits = ("bash", "-c", "echo ran >>runs/log; cd looked-at; cp file ../was; echo other >file; cp ../was file")
    assert asked(checkout, *edits) == (True, True)
    assert asked(checkout, *edits) == (True, True)


def test_another_command_is_another_check(checkout: Path) -> None:
    asked(checkout)
    assert asked(checkout, *CHECK[:2], "echo ran >>runs/log; true") == (True, True)
