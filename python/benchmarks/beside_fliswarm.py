"""sdss-fliswarm beside this project, for comparison: in an environment of its own under .cache."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from many_engines import Place
from whole_process import Runs

_VERSION = "0.7.0"
_SCRIPT = Path(__file__).with_name("fliswarm_status.py")
_INSTALL_S, _RUN_S = 600, 300


class NotThere(Exception):
    """It can't be installed or does not run; says why."""


def installed(cache: Path) -> Path:
    """Its environment's interpreter; made from the configured package index when it is not there. Raises NotThere."""
    folder = cache / f"fliswarm-{_VERSION}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        _run(sys.executable, "-m", "venv", "--clear", str(folder), seconds=_INSTALL_S)
        _run(str(python), "-m", "pip", "install", "--quiet", f"sdss-fliswarm=={_VERSION}", seconds=_INSTALL_S)
        (folder / "complete").touch()
    return python


def status(python: Path, plain: list[Place], silent: list[Place], times: int) -> Runs:
    """Its status over these engines, in-process. Raises NotThere."""
    given = json.dumps({"plain": plain, "silent": silent, "times": times})
    return Runs(tuple(json.loads(_run(str(python), str(_SCRIPT), seconds=_RUN_S, given=given))))


def _run(*command: str, seconds: float, given: str = "") -> str:
    try:
        # Modules of this project's environment would be taken for its own.
        done = subprocess.run(
            ["env", "-u", "PYTHONPATH", *command],
            input=given,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotThere(f"not done within {seconds:g} s: {' '.join(command)}") from error
    if done.returncode:
        raise NotThere(" ".join((done.stderr or done.stdout).split())[-200:])
    return done.stdout
