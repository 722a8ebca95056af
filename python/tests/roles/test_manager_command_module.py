"""The module that unpacks the command on the manager."""

import json
import os
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

MODULE = Path(__file__).parents[3] / "roles" / "fleet" / "library" / "manager_command.py"


def test_everybody_can_run_the_command_whatever_the_umask(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text("print('well')")
    archive = tmp_path / "command.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(tmp_path / "__main__.py", arcname="__main__.py")
    folder = tmp_path / "opt" / "bluefleet"
    arguments = {"folder": str(folder), "version": "1", "archive": str(archive)}
    done = subprocess.run(
        [sys.executable, str(MODULE)],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.umask(0o077),
    )
    assert json.loads(done.stdout)["installed"] == ["1"]
    for path in (folder.parent, folder, folder / "1", *(folder / "1").rglob("*")):
        open_to_all = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
        assert path.stat().st_mode & open_to_all == open_to_all, path
