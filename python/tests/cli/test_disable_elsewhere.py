"""`bluefleet disable` on a site whose queue is on another host than the manager: what it can't do is not left unsaid."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from bluefleet.cli.main import build
from bluefleet.fleet import Overrides, Settings, State

DIGEST = "sha256:" + "a" * 64
WORDS = ["disable", "--json", "cam1", "--reason", "on the bench"]


@pytest.mark.parametrize(("where", "code"), [("boss", 0), ("queue", 1)])
def test_who_disables_is_told_when_plans_are_not_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, where: str, code: int
) -> None:
    monkeypatch.setenv("BLUEFLEET_ETC", str(settings.etc))
    monkeypatch.setenv("BLUEFLEET_LIB", str(settings.lib))
    monkeypatch.delenv("BLUEFLEET_INVENTORY", raising=False)
    site: dict[str, Any] = {
        "schema_version": 1,
        "site": "hill",
        "hosts": {
            "boss": {"address": "10.0.0.1", "groups": ["manager"]},
            "queue": {"address": "10.0.0.2", "groups": ["acquisition"]},
            "node1": {"address": "10.0.0.3", "groups": ["nodes"]},
        },
        "registry": None,
        "images": {"camera": {"reference": f"10.0.0.1:5000/bluefleet/camera@{DIGEST}", "digest": DIGEST}},
        "nodes": [{"name": "node1", "address": "10.0.0.3", "instances": [{"name": "cam1", "image": "camera"}]}],
        "pods": {"acquisition": {"host": where, "address": "10.0.0.2"}},
    }
    settings.site_file.write_text(yaml.safe_dump(site))
    done = CliRunner().invoke(build(WORDS), WORDS)
    assert (done.exit_code, json.loads(done.stdout)["ok"]) == (code, code == 0), (done.stderr, done.exception)
    assert ("failed: queue: its worker does not hear" in done.stderr) is (code == 1)
    assert [one.kind for one in Overrides.now(State(settings.state_file)).all] == ["disabled"]
