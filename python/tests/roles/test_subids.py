"""Ranges of sub-ids: who gets which, and what is refused before anything is written."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    uids, gids = tmp_path / "subuid", tmp_path / "subgid"
    uids.write_text("lxd:100000:65536\n")
    gids.write_text("lxd:100000:65536\n")
    return uids, gids


def run(
    subids: ModuleType,
    files: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    users: list[Any],
    **arguments: Any,
) -> dict[str, Any]:
    """Run the module as Ansible does and return what it said."""
    parameters = {"users": users, "files": [str(file) for file in files], **arguments}
    with patch_module_args(parameters), pytest.raises(SystemExit):
        subids.main()
    return json.loads(capsys.readouterr().out)


def test_the_first_user_gets_65536_from_200000_and_the_next_the_following(
    subids: ModuleType, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(subids, files, capsys, ["ada", {"name": "ben"}])
    expected = "lxd:100000:65536\nada:200000:65536\nben:265536:65536\n"
    assert said["changed"]
    assert [file.read_text() for file in files] == [expected, expected]


def test_a_second_run_changes_nothing(
    subids: ModuleType, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run(subids, files, capsys, ["ada"])
    assert not run(subids, files, capsys, ["ada"])["changed"]


def test_check_mode_says_what_would_change_and_writes_nothing(
    subids: ModuleType, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(subids, files, capsys, ["ada"], _ansible_check_mode=True)
    assert said["changed"]
    assert "ada" not in files[0].read_text()


def test_the_range_of_the_documents_is_accepted_with_a_warning_about_its_size(
    subids: ModuleType, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run(
        subids,
        files,
        capsys,
        [{"name": "ada", "subid_start": 200000, "subid_count": 1001}],
    )
    assert "ada:200000:1001" in files[0].read_text().splitlines()
    (warning,) = subids.narrow([subids.Range("ada", 200000, 1001), subids.Range("ben", 265536, 65536)])
    assert "ada is 1001 wide" in warning


def test_a_range_that_overlaps_another_users_is_refused_before_writing(
    subids: ModuleType, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = [file.read_text() for file in files]
    said = run(subids, files, capsys, [{"name": "ada", "subid_start": 150000}])
    assert said["failed"]
    assert "overlaps 100000-165535 of lxd" in said["msg"]
    assert [file.read_text() for file in files] == before


def test_two_declared_ranges_that_overlap_are_refused(
    subids: ModuleType, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    users = [
        {"name": "ada", "subid_start": 200000},
        {"name": "ben", "subid_start": 250000},
    ]
    assert "overlaps" in run(subids, files, capsys, users)["msg"]


def test_a_range_that_holds_the_id_of_an_existing_user_is_refused(
    subids: ModuleType,
) -> None:
    with pytest.raises(subids.Refused, match="contains the id 1000 of an existing"):
        subids.assign([subids.Wish("ada", 900, 65536)], [[]], [0, 1000], 200000)


def test_a_user_keeps_a_range_that_is_wide_enough(
    subids: ModuleType, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for file in files:
        file.write_text("ada:100000:65536\n")
    assert not run(subids, files, capsys, ["ada"])["changed"]


def test_a_gap_that_is_too_narrow_is_passed_over(subids: ModuleType) -> None:
    present = [subids.Range("lxd", 210000, 65536)]
    given = subids.assign([subids.Wish("ada", None, 65536)], [present], [], 200000)
    assert given == [subids.Range("ada", 275536, 65536)]


def test_a_user_who_stands_there_twice_is_refused(subids: ModuleType) -> None:
    with pytest.raises(subids.Refused, match="ada stands there twice"):
        subids.wishes(["ada", {"name": "ada"}], 65536)
