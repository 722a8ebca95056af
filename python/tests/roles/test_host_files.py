"""The module that writes a host's files: only what differs, each in one step, nothing secret shown."""

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from role_files import call_module, load_role_file

OWNER = {"owner": str(os.getuid()), "group": str(os.getgid())}


def run(files: dict[Path, str], *, check: bool = False, mode: str = "0640", **more: Any) -> dict[str, Any]:
    """One call of the module as Ansible makes it, with contents by path."""
    arguments = {
        "files": [{"path": str(path), "mode": mode, **OWNER, **more.get("each", {})} for path in files],
        "contents": [base64.b64encode(text.encode()).decode() for text in files.values()],
        "folders": more.get("folders", []),
        "absent": [str(path) for path in more.get("absent", [])],
        "_ansible_check_mode": check,
    }
    return call_module("_site/library/host_files.py", arguments)


def test_a_file_has_content_and_mode_and_is_left_alone_then(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "a.conf"
    assert run({path: "one\n"})["changed_paths"] == [str(path)]
    assert path.read_text() == "one\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    before = path.stat().st_mtime_ns
    assert not run({path: "one\n"})["changed"]
    assert path.stat().st_mtime_ns == before


def test_another_mode_is_put_right_without_writing(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    run({path: "one\n"})
    inode = path.stat().st_ino
    assert run({path: "one\n"}, mode="0400")["changed_paths"] == [str(path)]
    assert (path.stat().st_ino, stat.S_IMODE(path.stat().st_mode)) == (inode, 0o400)


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    run({path: "one\n"})
    with path.open() as reader:
        run({path: "two\n"})
        assert reader.read() == "one\n"
    assert path.read_text() == "two\n"
    assert list(tmp_path.iterdir()) == [path]


def test_check_mode_writes_nothing_and_shows_the_difference(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    run({path: "one\n"})
    result = run({path: "two\n", tmp_path / "new": "x"}, check=True, absent=[path])
    assert result["changed"]
    assert path.read_text() == "one\n"
    assert not (tmp_path / "new").exists()
    assert (result["diff"][0]["before"], result["diff"][0]["after"]) == (
        "one\n",
        "two\n",
    )


@pytest.mark.parametrize("check", [False, True])
def test_a_secret_is_nowhere_in_the_answer(tmp_path: Path, check: bool) -> None:
    path = tmp_path / "key"
    run({path: "old-secret"}, each={"secret": True})
    answer = json.dumps(run({path: "new-secret"}, each={"secret": True}, check=check))
    for text in ("old-secret", "new-secret", base64.b64encode(b"new-secret").decode()):
        assert text not in answer


def test_what_belongs_to_a_program_that_the_host_lacks_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "modulefiles" / "bluefleet"
    assert not run({file: "x"}, each={"where": str(file.parent)})["changed"]
    assert not file.parent.exists()
    file.parent.mkdir()
    assert run({file: "x"}, each={"where": str(file.parent)})["changed_paths"] == [str(file)]


def test_what_must_not_exist_is_removed_with_its_content(tmp_path: Path) -> None:
    folder = tmp_path / "certs.d" / "registry:5000"
    run({folder / "ca.crt": "x"})
    assert run({}, absent=[folder])["changed_paths"] == [str(folder)]
    assert not folder.exists()
    assert not run({}, absent=[folder])["changed"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "link"
    target.write_text("mine\n")
    path.symlink_to(target)
    run({path: "theirs\n"})
    assert target.read_text() == "mine\n"
    assert not path.is_symlink()


def test_a_pipe_in_the_place_of_a_file_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    os.mkfifo(path)
    assert run({path: "mine\n"})["changed"]
    assert path.read_text() == "mine\n"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_swapped_for_a_link_meanwhile_is_not_given_away(tmp_path: Path, kind: str) -> None:
    module = load_role_file("_site/library/host_files.py")
    target, path = tmp_path / "target", tmp_path / "theirs"
    for each in (target, path):
        each.touch() if kind == "file" else each.mkdir()
        each.chmod(0o700)
    with (module.opened_file if kind == "file" else module.opened_folder)(path) as found:
        path.rename(tmp_path / "away")
        path.symlink_to(target)
        found.give({"mode": "0755", **OWNER})
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "away").stat().st_mode) == 0o755


def test_a_folder_that_somebody_made_a_link_is_refused_and_its_target_left_alone(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "spool"
    target.mkdir(mode=0o700)
    path.symlink_to(target)
    if os.getuid() == 0:
        os.lchown(path, 65534, 65534)
    said = run({}, folders=[{"path": str(path), "mode": "0755", **OWNER}])
    assert said["failed"]
    assert "it is a link, and not root made it" in said["msg"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes root's links")
def test_a_folder_may_lie_on_another_disk_where_root_linked_it(tmp_path: Path) -> None:
    target, path = tmp_path / "disk", tmp_path / "lib"
    target.mkdir(mode=0o700)
    path.symlink_to(target)
    assert run({}, folders=[{"path": str(path), "mode": "0755", **OWNER}])["changed_paths"] == [str(path)]
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


def test_folders_come_before_the_files_in_them(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    run({folder / "a": "x"}, folders=[{"path": str(folder), "mode": "0700", **OWNER}])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_file_that_its_program_refuses_does_not_take_its_place(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.conf"
    accepts_one = {"validate": "/bin/grep -q one %s"}
    assert run({path: "one\n"}, each=accepts_one)["changed"]
    said = run({path: "two\n"}, each=accepts_one)
    assert said["failed"]
    assert "refuses it" in said["msg"]
    assert path.read_text() == "one\n"
    assert [each.name for each in tmp_path.iterdir()] == ["a.conf"]


def test_folders_above_a_file_can_be_passed_through_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        run(
            {tmp_path / "etc" / "pods" / "a.conf": "one\n"},
            folders=[{"path": str(tmp_path / "var/a"), "mode": "0700", **OWNER}],
        )
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / folder).stat().st_mode) for folder in ("etc", "etc/pods", "var")] == [0o755] * 3
    assert stat.S_IMODE((tmp_path / "var/a").stat().st_mode) == 0o700
