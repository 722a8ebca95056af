"""What the launcher of device screens asks podman for, and what it refuses before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from role_files import load_role_file

screens: Any = load_role_file("desktop/files/bsui_screens.py")


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "people/ada").mkdir(parents=True)
    (tmp_path / "people/ada/fleet.yml").touch()
    return {
        "image": "10.0.0.1:5000/bluefleet/bluesky@sha256:0",
        "screens_image": "10.0.0.1:5000/bluefleet/screens@sha256:0",
        "store": "/var/lib/bluefleet/images",
        "folder": str(tmp_path / "people"),
        "spool": str(tmp_path / "spools"),
        "environment": {"BLUEFLEET_REDIS_USERNAME": "terminal"},
    }


def call(settings: dict[str, Any], *asked: str, person: str = "ada", **environment: str) -> list[str]:
    home = str(Path(settings["folder"]).parent)
    return screens.command(asked, settings, person=person, environment={"HOME": home, **environment})


def test_it_has_the_display_and_the_site_and_nothing_else_of_the_person(settings: dict[str, Any]) -> None:
    made = call(settings, "motor_ph", DISPLAY="desk:10.0")
    assert made[-5:] == [settings["screens_image"], "python", "-m", "bluefleet.screens", "motor_ph"]
    assert "--env=DISPLAY=desk:10.0" in made
    volumes = [each.removeprefix("--volume=") for each in made if each.startswith("--volume=")]
    own = [each for each in volumes if not each.startswith("/tmp/.X11-unix:")]
    assert own == [f"{settings['folder']}/ada/fleet.yml:/run/bluefleet/fleet.yml:ro"]
    assert {"--rm", "--read-only", "--cap-drop=all", "--log-driver=none"} <= set(made)


def test_without_a_display_it_says_what_to_do(settings: dict[str, Any]) -> None:
    with pytest.raises(screens.Refused, match=r"no display: log in with `ssh -X`$"):
        call(settings, "motor_ph")


@pytest.mark.parametrize("asked", [[], ["--list"], ["--help"]])
def test_what_opens_no_window_needs_no_display(settings: dict[str, Any], asked: list[str]) -> None:
    assert not [each for each in call(settings, *asked) if "DISPLAY" in each]


def test_who_does_not_work_here_has_none(settings: dict[str, Any]) -> None:
    with pytest.raises(screens.Refused, match="eve is none of this desktop's desktop_users"):
        call(settings, "--list", person="eve")


def test_a_desktop_without_screens_says_so(settings: dict[str, Any]) -> None:
    settings["screens_image"] = ""
    with pytest.raises(screens.Refused, match="desktop_screens"):
        call(settings, "--list")
