"""A reason is shown on the terminals of others: it is one line of plain text."""

from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from bluefleet.cli import mark, operate
from bluefleet.fleet import Settings


@pytest.mark.parametrize("verb", [mark.disable, mark.cordon, operate.stop])
@pytest.mark.parametrize("reason", ["first\nsecond", "\x1b[2Jall well", "back\rwards"])
def test_what_moves_the_cursor_is_refused_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verb: Typer, reason: str
) -> None:
    monkeypatch.setenv("BLUEFLEET_ETC", str(tmp_path))
    monkeypatch.setenv("BLUEFLEET_LIB", str(tmp_path))
    found = CliRunner().invoke(verb, ["node1", "--reason", reason])
    assert found.exit_code == 2
    assert "which can't be printed" in found.stderr
    assert "\x1b" not in found.stderr
    assert not Settings().state_file.exists()


def test_a_reason_in_any_language_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BLUEFLEET_ETC", str(tmp_path))
    found = CliRunner().invoke(mark.cordon, ["node1", "--reason", "Wärme: 温度 — hoch"])
    assert "printed" not in found.stderr
