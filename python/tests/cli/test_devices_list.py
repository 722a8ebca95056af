"""What `bluefleet devices list` shows."""

from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from bluefleet.cli.main import build
from bluefleet.fleet import DeviceEntry, DevicesReport

SITE = """
schema_version: 1
site: hill
hosts: {node2: {address: 10.0.0.22, groups: [nodes]}}
registry: null
images: {ioc: {reference: "10.0.0.10:5000/bluefleet/ioc"}}
nodes: [{name: node2, address: 10.0.0.22, instances: [{name: random-walk-horiz, image: ioc}]}]
"""


def device(name: str, **changes: str) -> DeviceEntry:
    return DeviceEntry(
        name=name,
        device_class="bluefleet.devices.RandomWalk",
        prefix="random_walk_horiz:",
        node="node2",
        instance="random-walk-horiz",
        state="loaded",
        unreachable=changes.get("unreachable", ""),
        refused=changes.get("refused", ""),
    )


@pytest.mark.parametrize("width", [80, 100])
def test_each_device_has_a_line_that_fits_and_reasons_have_lines_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("BLUEFLEET_ETC", str(tmp_path))
    (tmp_path / "fleet.yml").write_text(SITE)
    why = "random_walk_horiz:x did not connect within 3 s"
    devices = [device("walk"), device("away", unreachable=why), device("dusty", refused="disabled by ada: dust")]
    found = DevicesReport(site="hill", state="loaded", detail="", devices=devices)
    monkeypatch.setattr("bluefleet.fleet.devices_report", lambda *_, **__: found)
    monkeypatch.setattr("bluefleet.cli.devices.console", lambda: Console(highlight=False, width=width))
    words = ["devices", "list"]
    lines = CliRunner().invoke(build(words), words).stdout.splitlines()
    assert max(map(len, lines)) <= width
    assert lines[1].split() == ["walk", "RandomWalk", "random_walk_horiz:", "node2/random-walk-horiz", "loaded"]
    assert lines[2].split()[-2:] == ["no", "answer"]
    assert lines[3].split()[-1] == "refused"
    assert f"away does not answer: {why}" in lines
    assert "dusty is refused to plans: disabled by ada: dust" in lines
