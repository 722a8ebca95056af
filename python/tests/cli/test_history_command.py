"""`bluefleet history`: what is not there is said, not left blank."""

from __future__ import annotations

import pytest
import yaml
from typer.testing import CliRunner

from bluefleet.cli.main import build
from bluefleet.fleet import Settings, State, history

SITE = {
    "schema_version": 1,
    "site": "hill",
    "hosts": {"boss": {"address": "10.0.0.1", "groups": ["manager"]}},
    "registry": None,
    "images": {},
    "nodes": [],
    "pods": {},
}


@pytest.mark.parametrize(
    ("verb", "said"),
    [("stpo", "nothing is recorded of what was asked for\n"), ("stop", " UTC  ada  stop  node1/cam1  ok\n")],
)
def test_an_answer_that_is_empty_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, verb: str, said: str
) -> None:
    monkeypatch.setenv("BLUEFLEET_ETC", str(settings.etc))
    monkeypatch.setenv("BLUEFLEET_LIB", str(settings.lib))
    monkeypatch.delenv("BLUEFLEET_INVENTORY", raising=False)
    settings.site_file.write_text(yaml.safe_dump(SITE))
    state = State(settings.state_file)
    history.end(state, history.begin(state, "ada", "stop", ["node1/cam1"], {}), "ok", [])
    words = ["history", "--verb", verb]
    done = CliRunner().invoke(build(words), words)
    assert done.exit_code == 0, (done.stderr, done.exception)
    assert done.stdout.endswith(said)
