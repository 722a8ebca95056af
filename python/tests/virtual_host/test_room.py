"""A laboratory for which there is no room is refused before anything is built for it, and it is said how much is missing."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ansible.module_utils import virtual_host_engine as engine
from ansible.module_utils.virtual_host_plan import Host, Plan
from virtual_hosts import refuse_too_little_room

from ansible_runs import TOP, run_playbook

# The container engine's packages, the .venv and what was downloaded for it are there before room is looked for.
TOOLS_MB = 1500
NEW = Plan(create=[Host("node1", "172.30.77.21"), Host("node2", "172.30.77.22")])


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with 9000 MB free."""
    monkeypatch.setattr(engine, "free_megabytes", lambda: ("/var/lib/docker", 9000))


@pytest.mark.usefixtures("free")
def test_images_and_hosts_together_have_to_fit() -> None:
    with pytest.raises(engine.VirtualHostError) as refused:
        refuse_too_little_room(NEW, 6200, 7800)
    said = str(refused.value)
    assert "not enough disk: images to build and 2 new hosts need 14000 MB below /var/lib/docker" in said
    assert "9000 MB are free; free 5000 MB and run it again" in said


@pytest.mark.usefixtures("free")
def test_what_is_there_already_needs_none() -> None:
    refuse_too_little_room(NEW, 6200, 0)
    refuse_too_little_room(Plan(start=NEW.create), 6200, 7800)


def test_room_is_told_in_the_unit_of_the_images(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{machine / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=14_850_999_999))
    assert engine.free_megabytes() == (str(machine), 14850)


def test_the_tutorial_asks_for_the_room_that_a_new_laboratory_is_asked_for() -> None:
    images = yaml.safe_load((TOP / "images" / "versions.yml").read_text())["images"].values()
    hosts = yaml.safe_load((TOP / "roles" / "virtual_host" / "defaults" / "main.yml").read_text())
    needed = sum(image["space_mb"] for image in images) + hosts["virtual_host_space_mb"]
    told = re.search(r"(\d+) GB of free disk", (TOP / "docs" / "tutorials" / "first-lab.md").read_text())
    assert told is not None
    assert int(told[1]) * 1000 >= needed + TOOLS_MB


def test_room_is_looked_for_before_the_first_build() -> None:
    steps = [
        Path(step["ansible.builtin.import_playbook"]).stem for step in yaml.safe_load((TOP / "site.yml").read_text())
    ]
    assert steps.index("room") < min(steps.index("build_images"), steps.index("virtual_hosts"))


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A new machine: an engine that has nothing yet and notes what it is asked, and the laboratory's inventory."""
    inventory = tmp_path / "lab"
    shutil.copytree(TOP / "inventories" / "lab", inventory, ignore=shutil.ignore_patterns(".state"))
    programs = {
        "docker": f"""#!/bin/sh
echo "$@" >>{tmp_path}/asked
case $1 in
info) echo {tmp_path} ;;
image) echo "Error: No such image" >&2; exit 1 ;;
esac
""",
        # Not this machine's routes: a laboratory may be up on it.
        "ip": f"#!/bin/sh\ncat {tmp_path}/routes\n",
    }
    for name, text in programs.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    (tmp_path / "routes").write_text("[]")
    return tmp_path


def room(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The step that looks for it."""
    path = f"{machine / 'bin'}:{os.environ['PATH']}"
    return run_playbook(machine / "lab", "playbooks/room.yml", *arguments, PATH=path)


def asked(machine: Path) -> set[str]:
    """What the engine was asked for."""
    return {line.split()[0] for line in (machine / "asked").read_text().splitlines()}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_new_laboratory_is_refused_with_what_it_needs_and_nothing_is_built(machine: Path) -> None:
    declared = yaml.safe_load((TOP / "images" / "versions.yml").read_text())["images"]
    needed = sum(image["space_mb"] for image in declared.values()) + 900_000_000
    done = room(machine, "-e", "virtual_host_space_mb=900000000")
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert f"images to build and 4 new hosts need {needed} MB below {machine}" in said
    assert asked(machine) <= {"image", "info", "network", "ps"}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_new_laboratory_whose_addresses_are_in_use_is_refused_before_anything_is_built(machine: Path) -> None:
    (machine / "routes").write_text('[{"dst": "172.30.0.0/16", "dev": "tun0"}]')
    done = room(machine)
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert "172.30.77.0/24 is in use on this machine (172.30.0.0/16 on tun0); set virtual_host_subnet" in said
    assert asked(machine) <= {"image", "info", "network", "ps"}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_laboratory_that_was_up_once_is_not_asked(machine: Path) -> None:
    (machine / "lab" / ".state").mkdir()
    (machine / "lab" / ".state" / "images.yml").write_text("site_images: {}\n")
    done = room(machine, "-e", "virtual_host_space_mb=900000000")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (machine / "asked").exists()
