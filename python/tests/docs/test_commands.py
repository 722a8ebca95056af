"""The commands in the documentation are commands that work."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "tutorials").glob("*.md")),
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
]
BLOCK = re.compile(r"^```sh(?P<kind>[^\n]*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of shell commands in a page: ``sh lab`` runs on the running lab, ``sh`` is run elsewhere in the tests."""

    page: str
    line: int
    kind: str
    text: str


def blocks() -> list[Block]:
    """Every block of shell commands in README.md, the tutorials and the how-to pages."""
    found: list[Block] = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(str(page.relative_to(ROOT)), line, match["kind"].strip(), match["text"]))
    return found


# What a block without a mark may say: the commands that the stages of `make test` themselves run, with what runs them.
RUN_ELSEWHERE = {
    r"make (lab|lab-down|lab-purge|check|test|help|images|bench|docs|locks)( .*)?": "make test",
    r"(\.venv/bin/)?ansible-playbook site\.yml -i inventories/(mysite|example|lab)( --check --diff| --tags \w+)?": "lab, render test",
    r"cp -r inventories/example inventories/mysite": "the render test copies it",
}


def commands(text: str) -> list[str]:
    """The commands of a block, without comments and with continued lines joined."""
    joined = text.replace("\\\n", " ")
    stripped = (re.sub(r"\s+#.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


@pytest.mark.parametrize("block", [one for one in blocks() if not one.kind], ids=lambda one: f"{one.page}:{one.line}")
def test_a_command_that_no_test_runs_from_the_page_is_run_elsewhere(block: Block) -> None:
    unknown = [line for line in commands(block.text) if not any(re.fullmatch(known, line) for known in RUN_ELSEWHERE)]
    assert not unknown, f"{block.page}:{block.line}: mark the block `sh lab`, so that it is run: {unknown}"


def test_every_block_is_of_a_known_kind() -> None:
    assert {block.kind for block in blocks()} <= {"", "lab"}


@pytest.mark.lab
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "block", [one for one in blocks() if one.kind == "lab"], ids=lambda one: f"{one.page}:{one.line}"
)
def test_the_commands_of_the_page_work_on_the_lab(block: Block) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{block.page}:{block.line}\n{done.stdout}\n{done.stderr}"
