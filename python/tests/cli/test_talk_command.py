"""`bluefleet talk` as a command, to real cameras: replies for people, one object for programs, and exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from bluefleet.cli.main import build
from bluefleet.fleet import Settings, State, history
from camera_process import CameraProcess

# A camera takes seconds to start.
pytestmark = pytest.mark.slow

RUN = CliRunner()
DIGEST = "sha256:" + "a" * 64


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[CameraProcess]]:
    processes = [
        CameraProcess(tmp_path_factory.mktemp(name), name=name, prefix=f"{name}:").start() for name in ("cam1", "cam10")
    ]
    yield processes
    for process in processes:
        process.stop()


@pytest.fixture(autouse=True)
def manager(settings: Settings, cameras: list[CameraProcess], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The manager's site file, which declares the cameras as instances of this machine."""
    monkeypatch.setenv("BLUEFLEET_ETC", str(settings.etc))
    monkeypatch.setenv("BLUEFLEET_LIB", str(settings.lib))
    monkeypatch.delenv("BLUEFLEET_INVENTORY", raising=False)
    declared: list[dict[str, Any]] = [
        {"name": camera.name, "image": "camera", "categories": ["camera"], "actor": {"port": camera.actor_port}}
        for camera in cameras
    ]
    site = {
        "schema_version": 1,
        "site": "hill",
        "hosts": {"node1": {"address": "127.0.0.1", "groups": ["nodes"]}},
        "registry": None,
        "images": {"camera": {"reference": f"10.0.0.10:5000/bluefleet/camera@{DIGEST}", "digest": DIGEST}},
        "nodes": [
            {"name": "node1", "address": "127.0.0.1", "instances": [*declared, {"name": "ioc", "image": "camera"}]}
        ],
    }
    settings.site_file.write_text(yaml.safe_dump(site))
    return settings.site_file


def talk(*words: str) -> Result:
    return RUN.invoke(build(["talk", *words]), ["talk", *words])


def said(*words: str, code: int = 0) -> Any:
    done = talk("--json", *words)
    assert done.exit_code == code, (done.stderr, done.exception)
    found = json.loads(done.stdout)
    assert found["schema_version"] == 1
    assert found["ok"] is (code == 0)
    return found


def test_every_camera_answers_in_one_object() -> None:
    found = said("status")
    assert (found["site"], found["command"]) == ("hill", "status")
    assert [(one["instance"], one["outcome"]) for one in found["results"]] == [("cam1", "done"), ("cam10", "done")]


def test_people_see_replies_with_the_name_of_who_says_them() -> None:
    done = talk("--on", "cam10", "ping")
    assert done.exit_code == 0, done.stderr
    assert "node1/cam10 | text=Pong." in done.stdout
    assert "done in" in done.stdout
    assert "cam1 " not in done.stdout


def test_a_refused_command_is_exit_code_1_with_the_actors_words() -> None:
    (result,) = said("--on", "node1/cam1", "set", "temperature", "-200", code=1)["results"]
    assert result["outcome"] == "failed"
    assert "out of range" in result["error"]
    done = talk("--category", "camera", "set", "temperature", "-200")
    assert done.exit_code == 1
    assert done.stderr.count("failed: node1/cam") == 2


def test_what_changes_something_stands_in_history_and_a_question_does_not(settings: Settings) -> None:
    before = len(history.entries(State(settings.state_file)))
    said("status")
    said("--all", "set", "temperature", "-200", code=1)
    found = history.entries(State(settings.state_file))
    assert len(found) == before + 1
    assert (found[0].verb, found[0].options, found[0].result) == (
        "talk",
        {"command": "set temperature -200"},
        "failed",
    )
    assert found[0].targets == ["node1/cam1", "node1/cam10"]
    assert "out of range" in found[0].detail[0]


def test_a_dry_run_names_who_would_be_told_and_tells_nobody(settings: Settings) -> None:
    before = len(history.entries(State(settings.state_file)))
    # What a camera would refuse, and would be in history.
    done = talk("--on", "cam1", "--dry-run", "set", "temperature", "-200")
    assert (done.exit_code, done.stderr) == (0, "node1/cam1: would be told: set temperature -200\n")
    found = said("--all", "--dry-run", "set", "temperature", "-200")
    assert found["dry_run"] is True
    assert [(one["instance"], one["outcome"]) for one in found["results"]] == [
        ("cam1", "planned"),
        ("cam10", "planned"),
    ]
    assert "a command is one line" in said("--on", "cam1", "--dry-run", "a\nb", code=2)["error"]["what"]
    assert len(history.entries(State(settings.state_file))) == before


def test_one_camera_that_is_away_is_exit_code_1_and_the_other_is_done(cameras: list[CameraProcess]) -> None:
    cameras[1].stop()
    try:
        outcomes = {one["instance"]: one["outcome"] for one in said("--deadline", "10", "status", code=1)["results"]}
    finally:
        cameras[1].start()
    assert outcomes == {"cam1": "done", "cam10": "unreachable"}


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--on", "cam2", "status"], "no node or instance is called cam2"),
        (["--on", "ioc", "status"], "node1/ioc declares no actor that is in use. These do: node1/cam1, node1/cam10"),
        (["abort"], "nothing is chosen"),
        (["--on", "cam1", "status\n7 abort"], "a command is one line of printable characters"),
    ],
    ids=["name", "no actor", "nobody", "two commands"],
)
def test_what_cannot_be_said_is_exit_code_2(words: list[str], what: str) -> None:
    assert what in said(*words, code=2)["error"]["what"]
    done = talk(*words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert what in done.stderr


def test_there_is_nothing_to_say() -> None:
    assert talk().exit_code == 2
    assert said("--on", "cam1", code=2)["error"]["what"].startswith("Missing argument")
