"""What the launcher of a desktop's terminal asks podman for, and what it refuses before anything runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from patience import PATIENCE
from role_files import load_role_file

bsui: Any = load_role_file("desktop/files/bsui.py")


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    for folder in ("people/ada", "spools/ada"):
        (tmp_path / folder).mkdir(parents=True)
    return {
        "image": "10.0.0.1:5000/bluefleet/bluesky@sha256:0",
        "store": "/var/lib/bluefleet/images",
        "folder": str(tmp_path / "people"),
        "spool": str(tmp_path / "spools"),
        "environment": {"BLUEFLEET_REDIS_USERNAME": "terminal"},
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    made.mkdir()
    return made


def call(settings: dict[str, Any], home: Path, *given: str, person: str = "ada", **environment: str) -> list[str]:
    return bsui.command(
        bsui.arguments(list(given)), settings, person=person, environment={"HOME": str(home), **environment},
        terminal=True,
    )  # fmt: skip


def inside(call: list[str]) -> dict[str, str]:
    """The environment of the terminal."""
    given = [each.removeprefix("--env=") for each in call if each.startswith("--env=")]
    return dict(each.split("=", 1) for each in given)


def volumes(call: list[str]) -> list[str]:
    return [each.removeprefix("--volume=") for each in call if each.startswith("--volume=")]


def test_windows_go_to_the_persons_display(settings: dict[str, Any], home: Path) -> None:
    (home / ".Xauthority").touch()
    made = call(settings, home, DISPLAY="desk:10.0")
    assert inside(made)["DISPLAY"] == "desk:10.0"
    assert inside(made)["BLUEFLEET_SCREEN"] == "windows"
    assert f"{home}/.Xauthority:{inside(made)['XAUTHORITY']}" in volumes(made)


def test_without_a_display_it_says_what_to_do(settings: dict[str, Any], home: Path) -> None:
    with pytest.raises(bsui.Refused, match="log in with `ssh -X`, or call `bsui --headless`"):
        call(settings, home)
    assert inside(call(settings, home, "--headless"))["BLUEFLEET_SCREEN"] == "text"


def test_a_person_has_a_spool_and_secrets_of_their_own(settings: dict[str, Any], home: Path) -> None:
    made = call(settings, home, "--headless")
    assert f"{settings['spool']}/ada:/run/spool" in volumes(made)
    assert f"{settings['folder']}/ada:/run/bluefleet:ro" in volumes(made)
    assert inside(made)["BLUEFLEET_WRITER"] == "ada"
    with pytest.raises(bsui.Refused, match="eve is none of this desktop's desktop_users"):
        call(settings, home, "--headless", person="eve")


def test_a_checkout_takes_the_place_of_the_images_package(settings: dict[str, Any], home: Path, tmp_path: Path) -> None:
    for package in (home / "ophyd-async/src/ophyd_async", tmp_path / "elsewhere/bluesky"):
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
    made = call(settings, home, "--headless", "--dev", str(home / "ophyd-async"), str(tmp_path / "elsewhere"))
    assert inside(made)["PYTHONPATH"] == f"{home}/ophyd-async/src:/run/checkouts/1"
    assert f"{tmp_path}/elsewhere:/run/checkouts/1" in volumes(made)
    said = json.loads(inside(made)["BLUEFLEET_CHECKOUTS"])
    assert said["ophyd-async"] == f"checkout {home}/ophyd-async of no known commit"
    assert set(said) == {"ophyd-async", "bluesky"}


CHECKOUT_PROGRAM = """
import json, os
from bluefleet.acquisition.checkout_versions import provide_versions

provide_versions(json.loads(os.environ["BLUEFLEET_CHECKOUTS"]))
import seven
print(seven.__version__, seven.__file__)
"""


@pytest.mark.parametrize("layout", ["src/seven", "seven"])
def test_a_checkout_is_imported_as_git_leaves_it(settings: dict[str, Any], home: Path, layout: str) -> None:
    package = home / "checkout" / layout
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from ._version import __version__\n", encoding="utf-8")
    told = inside(call(settings, home, "--headless", "--dev", str(home / "checkout")))
    path = os.pathsep.join([told["PYTHONPATH"], *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", CHECKOUT_PROGRAM],
        env={**os.environ, **told, "PYTHONPATH": path}, capture_output=True, text=True, check=False, timeout=20 * PATIENCE,
    )  # fmt: skip
    assert done.stdout.split() == ["0+checkout", str(package / "__init__.py")], done.stderr


@pytest.mark.parametrize(("name", "why"), [("nowhere", "there is no such folder"), ("empty", "no Python package")])
def test_what_is_no_checkout_is_refused(settings: dict[str, Any], home: Path, name: str, why: str) -> None:
    (home / "empty").mkdir()
    with pytest.raises(bsui.Refused, match=why):
        call(settings, home, "--headless", "--dev", str(home / name))


def test_nothing_of_the_container_stays(settings: dict[str, Any], home: Path) -> None:
    made = call(settings, home, "--headless", "--", "-c", "1")
    assert {"--rm", "--read-only", "--cap-drop=all", "--log-driver=none"} <= set(made)
    assert made[-4:] == ["-m", "bluefleet.acquisition.terminal", "-c", "1"]
