"""Writers in processes of their own, which can be killed."""

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

StartWriter = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start_writer(tmp_path: Path) -> Iterator[StartWriter]:
    """Start Python code in a process of its own; `folder` in it is the spool's folder. Killed after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str) -> "subprocess.Popen[str]":
        program = f"from pathlib import Path\nfolder = Path({str(tmp_path)!r})\n{textwrap.dedent(code)}"
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
