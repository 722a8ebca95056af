"""What a page of the documentation tells to type on a host, for the tests that type it."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def host_block(page: str, heading: str) -> str:
    """The one block `sh host` under a heading of a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    (section,) = re.findall(rf"^##+ {re.escape(heading)}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    (block,) = re.findall(r"^```sh host\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return block
