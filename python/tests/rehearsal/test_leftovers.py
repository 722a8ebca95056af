"""What an earlier run left is taken away before anything is tested: .ci/test in a checkout where every program only notes its call."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from bluefleet.checkout import find_checkout
from patience import PATIENCE

# Each runs the whole of .ci/test, though nothing in it does anything.
pytestmark = pytest.mark.slow

NOTE = 'echo "$(basename "$0") $*${CHECKOUT:+ CHECKOUT=$CHECKOUT}" >>"$NOTES"\n'


@dataclass(frozen=True)
class Checkout:
    """A checkout, and whose laboratories the engine has containers of."""

    top: Path
    owners: tuple[Path, ...]

    def test(self, **more: str) -> tuple[int, list[str]]:
        """Runs it; its exit code, and the calls in their order."""
        ours = ("INVENTORY", "SUBNET", "CHECKOUT", "REHEARSAL")
        around = {name: value for name, value in os.environ.items() if name not in ours}
        notes = self.top / "notes"
        notes.unlink(missing_ok=True)
        around |= {"NOTES": str(notes), "OWNERS": "\n".join(map(str, self.owners)), **more}
        done = subprocess.run(
            [self.top / ".ci" / "test"],
            cwd="/",
            env=around,
            capture_output=True,
            text=True,
            timeout=60 * PATIENCE,
            check=False,
        )
        assert "Stages of make test:" in done.stdout, done.stdout + done.stderr
        return done.returncode, notes.read_text().splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """One whose laboratory has its keys; beside it another one that is there, and one that is gone."""
    top = tmp_path / "checkout"
    (top / ".ci").mkdir(parents=True)
    (top / "inventories" / "lab" / ".state" / "ssh").mkdir(parents=True)
    shutil.copy(find_checkout() / ".ci" / "test", top / ".ci" / "test")
    programs = {
        ".ci/lab": '[ "$1" != down ] || [ -z "${BROKEN:-}" ]\n',
        ".ci/check": "",
        ".venv/bin/docker": 'printf "%s\\n" "$OWNERS"\n',
        **{f".venv/bin/{name}": "" for name in ("make", "molecule", "python")},
    }
    for path, body in programs.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(f"#!/bin/sh\n{NOTE}{body}")
        (top / path).chmod(0o755)
    (tmp_path / "there").mkdir()
    return Checkout(top, (top, tmp_path / "there", tmp_path / "gone" / "checkout", tmp_path / "gone" / "checkout"))


def downs(calls: list[str]) -> list[str]:
    return [call for call in calls if call.startswith("lab down")]


def test_a_laboratory_whose_checkout_is_gone_is_taken_down_once_and_no_other_is(checkout: Checkout) -> None:
    code, calls = checkout.test()
    assert code == 0
    assert downs(calls) == [f"lab down CHECKOUT={checkout.owners[-1]}"]
    # Before anything is built or tested.
    assert [call.split()[0] for call in calls[:2]] == ["docker", "lab"]
    assert "lab up" in calls


def test_a_laboratory_whose_keys_are_gone_is_made_anew(checkout: Checkout) -> None:
    shutil.rmtree(checkout.top / "inventories" / "lab" / ".state")
    code, calls = checkout.test()
    assert code == 0
    assert downs(calls) == ["lab down", f"lab down CHECKOUT={checkout.owners[-1]}"]
    assert calls[0] == "lab down"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_what_this_user_may_not_look_into_stays(checkout: Checkout, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    assert downs(Checkout(checkout.top, (closed / "checkout",)).test()[1]) == []


def test_leftovers_that_stay_are_told_and_hinder_no_other_stage(checkout: Checkout) -> None:
    code, calls = checkout.test(BROKEN="yes")
    assert code == 1
    assert "lab up" in calls
