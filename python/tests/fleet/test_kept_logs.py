"""Of logs that are kept, no more is held than was asked for."""

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from bluefleet.cli.logs import _Shown
from bluefleet.engine import LogLine
from bluefleet.fleet import Settings, select
from bluefleet.fleet import _logs as logs
from bluefleet.fleet._kept_logs import lines
from bluefleet.fleet._logs import InstanceLine, Wanted
from bluefleet.model import Site

SITE = Site.model_validate(
    {
        "schema_version": 1,
        "site": "lab",
        "hosts": {},
        "registry": None,
        "images": {"camera": {"reference": "camera"}},
        "nodes": [{"name": "node1", "address": "127.0.0.1", "instances": [{"name": "cam1", "image": "camera"}]}],
    }
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Three kept logs of 2000 lines each; the second was cut off."""
    made = Settings(etc=tmp_path / "etc", lib=tmp_path / "lib")
    folder = made.logs_folder / "node1" / "cam1"
    folder.mkdir(parents=True)
    for number in range(3):
        text = "".join(f"2026-01-0{number + 1}T00:00:00.{one:09}Z line {number}-{one}\n" for one in range(2000))
        packed = gzip.compress(text.encode())
        (folder / f"2026010{number + 1}T000000.0Z.log.gz").write_bytes(packed[:-20] if number == 1 else packed)
    return made


def read(settings: Settings, wanted: Wanted, told: list[str]) -> list[str]:
    async def all_of_it() -> list[str]:
        ((node, instance),) = select(SITE).placed
        reader = logs._Reader(SITE, settings, node, instance, wanted, told.append)
        return [line.text async for line in reader._kept()]

    return asyncio.run(all_of_it())


def test_all_lines_are_there_and_a_file_that_is_cut_off_is_told(settings: Settings) -> None:
    told: list[str] = []
    found = read(settings, Wanted(previous=True), told)
    assert (found[0], found[-1]) == ("line 0-0", "line 2-1999")
    assert len(found) >= 4000
    assert len(told) == 1
    assert "20260102T" in told[0]


def test_of_the_last_lines_no_more_are_held(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[int] = []
    held = logs.deque

    class Counted(held[LogLine]):
        def extend(self, more: list[LogLine]) -> None:  # type: ignore[override]
            super().extend(more)
            pages.append(len(self))

    monkeypatch.setattr(logs, "deque", Counted)
    assert read(settings, Wanted(previous=True, tail=3), []) == [f"line 2-{one}" for one in (1997, 1998, 1999)]
    assert max(pages) == 3
    assert len(pages) >= 4


def test_a_line_has_its_stream_and_none_where_none_was_noted(tmp_path: Path) -> None:
    noted = (
        "2026-01-01T00:00:00.1Z stderr F oh  dear\n2026-01-01T00:00:00.2Z stdout F \n2026-01-01T00:00:00.3Z as before\n"
    )
    file = tmp_path / "20260101T000000.0Z.log.gz"
    file.write_bytes(gzip.compress(noted.encode()))
    found = list(lines(file))
    assert [(one.stream, one.text) for one in found] == [("stderr", "oh  dear"), ("stdout", ""), ("", "as before")]
    shown = _Shown(labelled=False, times=False, as_json=True, follow=False)
    for line in found:
        shown.line(InstanceLine("node1", "cam1", line))
    said = json.loads(shown.everything("hill"))["lines"]
    assert [one.get("stream", "not there") for one in said] == ["stderr", "stdout", "not there"]
