"""The page of figures says on what they were taken, and nothing that is only about where."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "performance.md"


def test_a_machine_is_described_by_what_another_one_can_be_compared_with() -> None:
    machines = re.findall(r"^Taken on .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert machines
    for machine in machines:
        assert re.fullmatch(
            r"Taken on [\d-]+ on \d+ cores, \d+ GiB, .+, kernel \d+(\.\d+)+(; .+ took \d+ ms)?\.", machine
        ), machine
