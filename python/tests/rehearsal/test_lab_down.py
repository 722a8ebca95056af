"""`lab-down` takes away what is its own: .ci/lab in a checkout where Ansible and the engine only note what they are asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from bluefleet.checkout import find_checkout
from patience import PATIENCE

# Each makes a checkout and runs .ci/lab.
pytestmark = pytest.mark.slow

TOP = find_checkout()


@dataclass(frozen=True)
class Checkout:
    """A checkout of which inventories can be made, and laboratories can't."""

    top: Path

    @property
    def asked(self) -> str:
        """What Ansible was asked."""
        notes = self.top / "asked"
        return notes.read_text() if notes.exists() else ""

    def inventory(self, model: str, path: str) -> Path:
        """A copy of an inventory, with a secret in its state."""
        folder = self.top / path
        shutil.copytree(TOP / "inventories" / model, folder, ignore=shutil.ignore_patterns(".state"))
        self.secret(folder)
        return folder

    @staticmethod
    def secret(folder: Path) -> Path:
        """Its key, which is made when there is none."""
        key = folder / ".state" / "pki" / "ca.key"
        key.parent.mkdir(parents=True, exist_ok=True)
        key.touch()
        return key

    def rehearse(self, inventory: Path) -> Path:
        """Makes its rehearsal, as `make lab` begins."""
        done = self._run([str(self.top / ".venv/bin/python"), "-m", "bluefleet.rehearsal", str(inventory)])
        assert done.returncode == 0, done.stderr
        folder = Path(done.stdout.strip())
        self.secret(folder)
        return folder

    def lab(self, verb: str, inventory: Path | None) -> subprocess.CompletedProcess[str]:
        """`make lab-down` or `make lab-purge`, with or without INVENTORY."""
        return self._run([str(self.top / ".ci/lab"), verb], {"INVENTORY": str(inventory)} if inventory else {})

    def _run(self, words: list[str], more: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        ours = ("INVENTORY", "SUBNET", "CHECKOUT", "BLUEFLEET_LAB_LOCKED")
        around = {name: value for name, value in os.environ.items() if name not in ours}
        around |= {"PATH": f"{self.top / 'bin'}:{os.environ['PATH']}", "MITOGEN": "no", **(more or {})}
        return subprocess.run(
            words, cwd=self.top, env=around, capture_output=True, text=True, timeout=60 * PATIENCE, check=False
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path / "checkout")
    for name in ("roles", "images", "python", "ansible.cfg"):
        (made.top / name).parent.mkdir(parents=True, exist_ok=True)
        (made.top / name).symlink_to(TOP / name)
    (made.top / ".ci").mkdir()
    shutil.copy(TOP / ".ci" / "lab", made.top / ".ci" / "lab")
    for path, text in {
        ".ci/bootstrap": "true",
        ".ci/images_size.py": "",
        "bin/docker": "true",
        ".venv/bin/ansible-playbook": f'echo "$@" >>"{made.top}/asked"',
        ".venv/bin/python": f'PYTHONPATH="{TOP}/python/src" exec "{sys.executable}" "$@"',
    }.items():
        (made.top / path).parent.mkdir(parents=True, exist_ok=True)
        (made.top / path).write_text(f"#!/bin/sh\n{text}\n" if text else "")
        (made.top / path).chmod(0o755)
    made.inventory("lab", "inventories/lab")
    return made


def test_the_laboratorys_own_state_goes(checkout: Checkout) -> None:
    done = checkout.lab("down", None)
    assert done.returncode == 0, done.stderr
    assert "-i inventories/lab " in checkout.asked
    assert not (checkout.top / "inventories" / "lab" / ".state").exists()


def test_state_of_a_virtual_inventory_stays_and_is_told(checkout: Checkout) -> None:
    mylab = checkout.inventory("lab", "inventories/mylab")
    done = checkout.lab("down", mylab)
    assert done.returncode == 0, done.stderr
    assert "-i inventories/mylab " in checkout.asked
    assert "Kept: inventories/mylab/.state" in done.stderr
    assert (mylab / ".state" / "pki" / "ca.key").exists()


def test_purge_is_for_the_checkout_whatever_inventory_is_named(checkout: Checkout) -> None:
    mylab = checkout.inventory("lab", "inventories/mylab")
    done = checkout.lab("purge", mylab)
    assert done.returncode == 0, done.stderr
    assert "-i inventories/lab " in checkout.asked
    assert (mylab / ".state" / "pki" / "ca.key").exists()
    assert not (checkout.top / "inventories" / "lab" / ".state").exists()


def test_a_site_with_a_hypervisor_is_neither_asked_nor_touched(checkout: Checkout) -> None:
    site = checkout.inventory("example", "inventories/mysite")
    hosts = (site / "hosts.yml").read_text().replace("hosts: {}", "hosts: {localhost: }", 1)
    (site / "hosts.yml").write_text(hosts)
    done = checkout.lab("down", site)
    assert done.returncode == 2
    assert "outside virtual_host_subnet" in done.stderr
    assert checkout.asked == ""
    assert (site / ".state" / "pki" / "ca.key").exists()


def test_a_rehearsal_goes_with_its_state_and_the_sites_stays(checkout: Checkout) -> None:
    site = checkout.inventory("example", "inventories/mysite")
    folder = checkout.rehearse(site)
    done = checkout.lab("down", site)
    assert done.returncode == 0, done.stderr
    assert "-i .cache/rehearsal/mysite " in checkout.asked
    assert not folder.exists()
    assert (site / ".state" / "pki" / "ca.key").exists()


def test_a_rehearsal_ends_as_it_was_made_when_its_site_is_gone(checkout: Checkout) -> None:
    site = checkout.inventory("example", "inventories/mysite")
    folder = checkout.rehearse(site)
    shutil.rmtree(site)
    done = checkout.lab("down", Path("inventories/mysite"))
    assert done.returncode == 0, done.stderr
    assert "-i .cache/rehearsal/mysite " in checkout.asked
    assert not folder.exists()


def test_the_rehearsal_of_another_site_of_that_name_stays(checkout: Checkout) -> None:
    site = checkout.inventory("example", "inventories/mysite")
    folder = checkout.rehearse(site)
    done = checkout.lab("down", checkout.inventory("example", "elsewhere/mysite"))
    assert done.returncode == 2
    assert f"make lab-down INVENTORY={site}" in done.stderr
    assert checkout.asked == ""
    assert (folder / ".state" / "pki" / "ca.key").exists()
