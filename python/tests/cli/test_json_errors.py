"""Who asks for JSON gets one object on stdout also when something goes wrong; words for people stay on stderr."""

import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bluefleet.cli.main import VERBS, build

RUN = CliRunner()
SITE = """
schema_version: 1
site: hill
hosts: {manager: {address: 10.0.0.10, groups: [manager]}, node1: {address: 10.0.0.21, groups: [nodes]}}
registry: null
images: {}
nodes: [{name: node1, address: 10.0.0.21, instances: []}]
"""


@pytest.fixture(autouse=True)
def site_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BLUEFLEET_ETC", str(tmp_path))
    monkeypatch.setenv("BLUEFLEET_LIB", str(tmp_path))
    monkeypatch.delenv("BLUEFLEET_INVENTORY", raising=False)
    (tmp_path / "fleet.yml").write_text(SITE)
    return tmp_path / "fleet.yml"


def bluefleet(*words: str) -> Result:
    return RUN.invoke(build(words), list(words))


def error_of(done: Result, code: int = 2) -> dict[str, str]:
    """What went wrong, as the one object says."""
    assert done.exit_code == code, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["schema_version"], told["ok"], set(told)) == (1, False, {"schema_version", "ok", "error"})
    assert set(told["error"]) == {"what", "where", "remedy"}
    assert done.stderr
    return told["error"]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["status", "node9", "--json"], "no node or instance is called node9"),
        (["stop", "--json"], "nothing is chosen"),
        (["stop", "--json", "--wait", "long"], "--wait"),
        (["status", "--jsn", "--json"], "No such option: --jsn"),
        (["stauts", "--json"], "No such command 'stauts'"),
        (["devices", "lsit", "--json"], "No such command 'lsit'"),
        (["exec", "--json", "-it", "x"], "--json is not for a session"),
        (["talk", "--on", "node1", "--json", "status"], "nothing that was chosen declares no actor"),
        (["logs", "--since", "teatime", "--json", "node1"], "what was chosen has no instances"),
        (["history", "--since", "teatime", "--json"], "'teatime' is no time"),
        (["documents", "verify", "abcd", "--json"], "the site has no pods"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_request_that_is_invalid(words: list[str], what: str) -> None:
    assert what in error_of(bluefleet(*words))["what"]


def test_a_site_file_that_is_invalid(site_file: Path) -> None:
    site_file.write_text("schema_version: 1\n")
    assert "'site' is missing" in error_of(bluefleet("apply", "--json"))["what"]


def test_without_json_nothing_is_on_stdout() -> None:
    for words in (["status", "node9"], ["stauts"], ["stop"]):
        done = bluefleet(*words)
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr


def test_what_follows_the_command_of_an_instance_is_that_commands() -> None:
    assert bluefleet("exec", "node1/ioc", "lsblk", "--json").stdout == ""
    assert bluefleet("talk", "--on", "node1", "status", "--json").stdout == ""


def test_an_interrupted_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(work: Coroutine[Any, Any, object]) -> None:
        work.close()
        raise KeyboardInterrupt

    monkeypatch.setattr("bluefleet.cli._fleet._until_told", interrupted)
    assert error_of(bluefleet("apply", "--json"), code=1)["what"] == "interrupted"


def test_a_file_that_is_closed_to_the_person_is_told_without_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/root/site")

    monkeypatch.setattr("bluefleet.cli._document_places.declared", closed)
    error = error_of(bluefleet("documents", "verify", "abcd", "--json"), code=1)
    assert (error["what"], error["where"]) == ("Permission denied", "/root/site")


def test_help_states_the_exit_codes_and_which_options_have_a_value() -> None:
    told = bluefleet("--help").stdout
    for line in ("0  all well", "1  something failed", "2  the request or the site file is invalid", "3  what runs"):
        assert line in told
    # The word after an option that has a value is no word of the actor's command.
    from typer.main import get_command

    from bluefleet.cli import talk

    options = [one for one in get_command(talk.app).params if one.param_type_name == "option"]
    valued = {name for one in options if not getattr(one, "is_flag", False) for name in one.opts}
    assert valued - {"--help"} == set(VERBS["talk"].valued)
