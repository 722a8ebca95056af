"""Every page can be found, and every link of a page leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", ROOT / "inventories" / "example" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# [words](target), outside of code: a target on the web has a scheme.
LINK = re.compile(r"\]\((?![a-z]+:)([^)\s#]*)(#[^)\s]+)?\)")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What GitHub and GitLab call the headings of a page."""
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(prose(page)))
    return {one.strip().replace(" ", "-") for one in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_the_page_leads_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(prose(page)):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{target} is not there"
        if anchor:
            assert anchor[1:] in anchors(file), f"{target} has no heading {anchor}"


def test_the_index_leads_to_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    found = {(index.parent / target).resolve() for target, _ in LINK.findall(prose(index)) if target}
    decisions = ROOT / "docs" / "explanation" / "decisions"
    # Decisions have an index of their own.
    wanted = {page for page in (ROOT / "docs").rglob("*.md") if page.parent != decisions} | {decisions / "README.md"}
    assert not wanted - found - {index}, "docs/README.md does not name them"
