"""The verbs of an operator as commands: exit codes, clean JSON on stdout, words on stderr."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from bluefleet.cli.main import build
from bluefleet.model import Site
from real_engine import MakeSite, Seen

RUN = CliRunner()
BASH = "/bin/bash"


@pytest.fixture(autouse=True)
def manager(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The manager's site file; the commands look where this says, and run here."""
    monkeypatch.setenv("BLUEFLEET_ETC", str(settings.etc))
    monkeypatch.setenv("BLUEFLEET_LIB", str(settings.lib))
    monkeypatch.setenv("SUDO_USER", "grace")
    return settings.site_file


def declare(site: Site, file: Path) -> None:
    file.write_text(yaml.safe_dump(site.model_dump(mode="json", by_alias=True)))


def bluefleet(*words: str) -> Result:
    return RUN.invoke(build(words), list(words))


def said(*words: str, code: int = 0) -> Any:
    done = bluefleet(*words, "--json")
    assert done.exit_code == code, (done.exit_code, done.stderr, done.exception)
    found = json.loads(done.stdout)
    assert found["schema_version"] == 1
    return found


@pytest.fixture
def one(make_site: MakeSite, manager: Path, seen: Seen, word: str) -> str:
    """An instance that runs."""
    chatter = [BASH, "-c", "echo hello; sleep 1000"]
    instance = {
        "name": word,
        "image": "tiny",
        "stop_grace_seconds": 1,
        "command": chatter,
        "categories": ["camera"],
        "devices": [{"name": "axis", "class": "bluefleet.devices.Axis", "prefix": "x:"}],
    }
    declare(make_site({"node1": [instance]}), manager)
    assert bluefleet("apply").exit_code == 0
    return word


def test_a_day_of_an_instance(one: str, seen: Seen) -> None:
    assert said("stop", one, "--reason", "dust")["nodes"][0]["steps"][0]["outcome"] == "done"
    assert seen.ids() == {}
    status = bluefleet("status")
    assert status.exit_code == 0
    assert "stopped by grace since" in status.stdout
    assert "UTC: dust" in status.stdout
    assert said("apply")["changed"] is False
    assert said("start", "--category", "camera")["changed"] is True
    assert said("restart", f"node1/{one}")["changed"] is True
    assert said("kill", "--all")["nodes"][0]["steps"][0]["action"] == "kill"
    assert said("clear", one)["overrides"][0]["kind"] == "stopped"
    assert said("reconnect")["nodes"][0]["steps"][0]["action"] == "start"
    verbs = [entry["verb"] for entry in said("history")["entries"]]
    assert verbs == ["apply", "clear", "kill", "restart", "start", "apply", "stop", "apply"]
    assert {entry["who"] for entry in said("history")["entries"]} == {"grace"}
    assert [entry["options"] for entry in said("history", "--verb", "start")["entries"]] == [{}]


def test_dry_runs_say_what_would_be_done_and_exit_0(one: str, seen: Seen) -> None:
    before = seen.ids()
    for words in (["stop", one], ["kill", one], ["restart", one], ["apply", "--force"]):
        done = bluefleet(*words, "--dry-run")
        assert (done.exit_code, done.stdout) == (0, "")
        assert f"node1/{one}: would" in done.stderr
    assert "would be now disabled" in bluefleet("disable", one, "-r", "leaks", "--dry-run").stderr
    assert "would run" in bluefleet("exec", "--dry-run", one, "reboot").stderr
    assert bluefleet("apply", "--force", "--check").exit_code == 3
    assert seen.ids() == before
    assert len(said("history")["entries"]) == 1


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "kill", "enable", "cordon", "clear"])
def test_a_verb_that_changes_something_wants_to_know_of_what(one: str, verb: str) -> None:
    done = bluefleet(verb)
    assert done.exit_code == 2
    assert "nothing is chosen" in done.stderr
    assert "--all" in done.stderr
    assert bluefleet(verb, "--all", one).exit_code == 2
    wrong = bluefleet(verb, f"{one}0")
    assert wrong.exit_code == 2
    assert f"instances are node1/{one}" in wrong.stderr


def test_disable_asks_for_the_reason_and_devices_tell_it(one: str) -> None:
    assert bluefleet("disable", one).exit_code == 2
    assert bluefleet("disable", one, "--reason", " ").exit_code == 2
    said("disable", one, "--reason", "leaks")
    (device,) = said("devices", "list", one)["devices"]
    assert device["refused"].endswith("leaks")
    assert said("start", one, code=1)["nodes"][0]["steps"][0]["outcome"] == "refused"
    said("enable", one)
    (enabled,) = said("history", "--verb", "enable")["entries"]
    assert enabled["detail"][0].startswith(f"node1/{one}: no longer disabled by grace since ")
    assert enabled["detail"][0].endswith(": leaks")
    assert said("devices", "list")["devices"][0]["refused"] == ""


def test_what_is_cordoned_is_left_as_it_is_and_said_so(one: str, seen: Seen) -> None:
    before = seen.ids()
    said("cordon", "node1", "--reason", "beam time")
    assert said("apply", "--force")["changed"] is False
    assert seen.ids() == before
    assert bluefleet("clear", "node1", "--kind", "coloured").exit_code == 2
    assert said("clear", "node1", "--kind", "stopped")["overrides"] == []
    assert said("clear", "node1", "--kind", "cordoned")["changed"] is True


def test_logs_are_lines_or_one_object(one: str) -> None:
    done = bluefleet("logs", one)
    assert (done.exit_code, done.stdout) == (0, "hello\n")
    (line,) = said("logs", one)["lines"]
    assert (line["node"], line["instance"], line["text"]) == ("node1", one, "hello")
    assert bluefleet("logs", one, "--since", "yesterday-ish").exit_code == 2
    bluefleet("apply", "--force")
    assert bluefleet("logs", one, "--all").stdout == "hello\nhello\n"


def test_exec_ends_as_its_command_does(one: str) -> None:
    done = bluefleet("exec", one, "--", BASH, "-c", "echo out; echo err >&2; exit 7")
    assert (done.exit_code, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert bluefleet("exec", one, BASH, "-c", "exit 3").exit_code == 3
    assert bluefleet("exec", one).exit_code == 2
    assert bluefleet("exec", "node1/", BASH).exit_code == 0
    told = json.loads(bluefleet("exec", "--json", one, BASH, "-c", "echo out").stdout)
    assert told == {"schema_version": 1, "exit_code": 0, "stdout": "out\n", "stderr": ""}
    missing = bluefleet("exec", one, "nosuch")
    assert (missing.exit_code, missing.stdout) == (127, "")
    assert "there is no program nosuch in it" in missing.stderr
    assert "OCI" not in missing.stderr
    bluefleet("stop", one)
    away = bluefleet("exec", one, BASH)
    assert away.exit_code == 1
    assert "does not run" in away.stderr


def test_images_and_history_are_tables_for_people(one: str) -> None:
    assert "tiny" in bluefleet("images").stdout
    (image,) = said("images", "node1")["nodes"][0]["images"]
    assert (image["used_by"], image["present"]) == ([one], True)
    assert "grace  apply  node1  ok" in bluefleet("history").stdout
    assert bluefleet("history", "--who", "nobody").stdout == "nothing is recorded of what was asked for\n"


def test_a_state_file_of_a_later_version_is_told_in_three_lines(one: str, settings: Any) -> None:
    import sqlite3

    connection = sqlite3.connect(settings.state_file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for words in (["status"], ["apply"], ["stop", one], ["history"], ["disable", one, "-r", "x"]):
        done = bluefleet(*words)
        assert done.exit_code == 1
        assert "version 99" in done.stderr
        assert len(done.stderr.splitlines()) == 3


def test_status_is_watched_until_ctrl_c(one: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = iter([None])

    def pause(_seconds: float) -> None:
        if next(pauses, "over") == "over":
            raise KeyboardInterrupt

    monkeypatch.setattr("bluefleet.cli.status.sleep", pause)
    done = bluefleet("status", "--watch", "--json", "--category", "camera")
    assert done.exit_code == 0
    looks = [json.loads(line) for line in done.stdout.splitlines()]
    assert [look["nodes"][0]["instances"][0]["name"] for look in looks] == [one, one]
