"""The page of figures says on what they were taken, and nothing that is only about where."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
PAGE = TOP / "docs" / "reference" / "performance.md"
MACHINE = r"Taken on [\d-]+ on \d+ cores, \d+ GiB, .+, kernel \d+(\.\d+)+"


def test_a_machine_is_described_by_what_another_one_can_be_compared_with() -> None:
    machines = re.findall(r"^Taken on .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert machines
    for machine in machines:
        assert re.fullmatch(rf"{MACHINE}(; .+ took \d+ ms before, \d+ ms after)?\.", machine), machine


def test_a_new_table_says_how_fast_the_machine_was(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = importlib.util.spec_from_file_location("benchmark_figures", TOP / "python" / "benchmarks" / "figures.py")
    assert spec is not None
    assert spec.loader is not None
    figures = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    monkeypatch.setitem(sys.modules, spec.name, figures)
    spec.loader.exec_module(figures)
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- some: begin -->\nold\n<!-- some: end -->\nafter\n")
    figures.report([figures.Figure("name", "≤ 1", "2", holds=False)], 80.0, page, "some")
    printed = capsys.readouterr().out
    first = printed.splitlines()[0]
    assert re.fullmatch(rf"{MACHINE}; .+ took 80 ms before, \d+ ms after\.", first), first
    assert "| name | ≤ 1 | 2 | **no** |" in printed
    assert page.read_text() == f"before\n<!-- some: begin -->\n{printed}<!-- some: end -->\nafter\n"
