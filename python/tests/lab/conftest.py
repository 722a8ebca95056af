"""What tests on the laboratory share: how the door is used, and what a run of it answered."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
BIN = ROOT / ".venv" / "bin"
HOSTS = ("manager", "data", "node1", "node2")


@dataclass(frozen=True)
class Run:
    """A finished playbook: exit code, what a person saw, and the times and counts that the stages callback wrote."""

    code: int
    text: str
    told: dict[str, Any]

    def changed(self) -> dict[str, int]:
        """Hosts that something was changed on, with how many tasks did."""
        return {host: counts["changed"] for host, counts in self.told["hosts"].items() if counts["changed"]}


def mitogen() -> dict[str, str]:
    """The environment that switches mitogen on, as `make lab` does."""
    folder = next((BIN.parent / "lib").glob("python3.*/site-packages/ansible_mitogen/plugins/strategy"))
    return {"ANSIBLE_STRATEGY": "mitogen_linear", "ANSIBLE_STRATEGY_PLUGINS": str(folder)}


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Run]:
    """Run a playbook on the laboratory's inventory."""

    def run(playbook: str, *arguments: str, environment: dict[str, str] | None = None, seconds: int = 600) -> Run:
        told = tmp_path / "stages.json"
        told.unlink(missing_ok=True)
        settings = mitogen() if environment is None else environment
        done = subprocess.run(
            [BIN / "ansible-playbook", "-i", "inventories/lab", playbook, *arguments],
            cwd=ROOT,
            env={**os.environ, "BLUEFLEET_STAGES_FILE": str(told), "ANSIBLE_NOCOLOR": "1", **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        summary: dict[str, Any] = json.loads(told.read_text()) if told.exists() else {}
        return Run(done.returncode, " ".join((done.stdout + done.stderr).split()), summary)

    return run


def docker(*arguments: str) -> str:
    """Ask the control machine's engine."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.strip()
