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
    pending = files[0].with_name("to-migrate")
    parameters = {"users": users, "files": [str(file) for file in files], "pending": str(pending), **arguments}
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


def test_a_declared_start_that_moves_takes_the_users_old_line_away_and_nobody_elses(
    subids: ModuleType, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for file in files:
        file.write_text("# by hand\nlxd:100000:65536\n")
    run(subids, files, capsys, [{"name": "ada", "subid_start": 200000}])
    run(subids, files, capsys, [{"name": "ada", "subid_start": 500000}])
    expected = "# by hand\nlxd:100000:65536\nada:500000:65536\n"
    assert [file.read_text() for file in files] == [expected, expected]


def test_a_range_can_be_declared_for_another_while_its_user_moves(
    subids: ModuleType, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run(subids, files, capsys, [{"name": "ada", "subid_start": 200000}])
    users = [{"name": "ben", "subid_start": 200000}, {"name": "ada", "subid_start": 500000}]
    run(subids, files, capsys, users)
    assert files[0].read_text() == "lxd:100000:65536\nben:200000:65536\nada:500000:65536\n"


def test_a_range_that_a_user_leaves_is_given_to_nobody_in_the_same_run(
    subids: ModuleType, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run(subids, files, capsys, [{"name": "ada", "subid_start": 200000}])
    run(subids, files, capsys, [{"name": "ada", "subid_start": 500000}, "ben"])
    assert "ben:265536:65536" in files[0].read_text()


def test_a_podman_that_an_interrupted_run_did_not_tell_is_told_by_the_next(
    subids: ModuleType,
    files: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subids, "existing_users", lambda: {"ada"})
    assert run(subids, files, capsys, ["ada", "ben"])["to_migrate"] == ["ada"]

    # Nobody told it: the files are right by now, and yet it is named.
    again = run(subids, files, capsys, ["ada", "ben"])
    assert again["changed"]
    assert again["to_migrate"] == ["ada"]

    files[0].with_name("to-migrate").unlink()
    told = run(subids, files, capsys, ["ada", "ben"])
    assert not told["changed"]
    assert told["to_migrate"] == []
