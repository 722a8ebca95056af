"""The module that unpacks the command on the manager."""

import stat
import tarfile
from pathlib import Path

from role_files import call_module


def test_everybody_can_run_the_command_whatever_the_umask(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text("print('well')")
    archive = tmp_path / "command.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(tmp_path / "__main__.py", arcname="__main__.py")
    folder = tmp_path / "opt" / "bluefleet"
    arguments = {"folder": str(folder), "version": "1", "archive": str(archive)}
    answer = call_module("fleet/library/manager_command.py", arguments, umask=0o077)
    assert answer["installed"] == ["1"], answer
    for path in (folder.parent, folder, folder / "1", *(folder / "1").rglob("*")):
        open_to_all = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
        assert path.stat().st_mode & open_to_all == open_to_all, path
